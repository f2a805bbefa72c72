"""The pages of /settings/, in the order of their list: one line each; the frame and the palette read them here."""

from __future__ import annotations

from typing import NamedTuple


class Section(NamedTuple):
    """A page of the settings: the name of its address, its label, what it is for, and the right its changes need."""

    name: str
    label: str
    says: str
    right: str


SECTIONS = (
    Section(
        "settings_me", "My settings", "Your time zone, your mail, the keys, and how you sign in.", "read"
    ),
    Section("settings_policy", "Policy", "The numbers the team tunes, each from a day on.", "policy"),
    Section("settings_alert_owner", "Alert owner", "Who gets the alerts.", "policy"),
    Section("playbooks", "Playbooks", "What happens by itself, and its switches.", "playbooks"),
    Section("settings_team", "Team and roles", "Who works here, and what each may do.", "users"),
    Section("settings_senders", "Sender group", "Whose mail counts as an outreach.", "users"),
    Section("settings_labels", "Labels", "The words on accounts: rename, merge, delete.", "labels"),
    Section("templates", "Templates", "What “Write” fills in, with fields.", "read"),
    Section("links_out", "Links", "What every account’s page links to.", "templates"),
    Section("settings_tokens", "Tokens", "The keys other programs come in with.", "tokens"),
)
