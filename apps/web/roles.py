"""Who may what, as one table: which right each address takes, to be read and to change something.

The doors themselves ask for their rights; this table says them in one place, a test asks every address as every role
whether it holds, and docs/roles.md is written from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from django.urls import URLPattern

from apps.crm.models.bulk import KINDS
from apps.crm.models.user import RIGHTS, ROLES
from apps.intake import urls as intake_urls
from apps.web import urls
from apps.web.exports import EXPORTS
from apps.web.views.editing import EDITS
from apps.web.views.many import HOWS
from apps.web.views.writing import FORMS

# Nobody need be signed in: probes, and customers who follow a link in a mail.
OPEN = {"healthz", "readyz", "survey", "unsubscribe"}

# What changes something when it is posted to, and is no page itself: the right it takes, and the names of addresses.
CHANGES: dict[str, tuple[str, ...]] = {
    # One's own, or only where the thing itself says whose it is: a view, a change of many that one made.
    "read": (
        "looked",
        "many_export",
        "many_undo",
        "notices_mail",
        "notices_seen",
        "view_delete",
        "view_opens_with",
        "view_rename",
        "view_restore",
        "view_update",
        "views",
    ),
    "move": ("move", "undo", "leave_paid_call", "many_preview"),
    "note": ("note", "note_edit", "note_pin", "note_preview", "feedback_tell"),
    "write": ("claim", "outreach_undo", "snooze", "write"),
    "templates": (
        "template_preview",
        "template_restore",
        "link_add",
        "link_remove",
        "link_save",
        "links_usual",
    ),
    "task": (
        "task",
        "task_next",
        "task_add",
        "task_assign",
        "task_day",
        "task_drop",
        "task_edit",
        "task_finish",
        "task_reopen",
    ),
    "alert": (),
    "call": ("call_host", "call_mark"),
    "edit": ("label", "unlabel", "many_emails", "audit", "credit", "credit_correct"),
    "event": ("event_ignore", "event_retry", "events_retry"),
    "preview import": ("import_columns",),
    "import": ("import_confirm", "import_release"),
    "outbox": ("message_retry", "outbox_turn"),
    "playbooks": (
        "playbook_pause",
        "playbook_resume",
        "playbook_retry",
        "playbook_run",
        "playbook_skip",
        "playbook_unskip",
        "skip",
        "unskip",
    ),
    "policy": ("policy_take_back",),
    "labels": ("label_rename", "label_merge"),
    "tokens": ("token_revoke",),
    "users": ("person_link",),
}
# Pages that everybody reads, and the right that posting to them takes.
PAGES_THAT_CHANGE = {
    "imports": "preview import",
    "policy_number": "policy",
    "settings_alert_owner": "policy",
    "settings_me": "read",
    "settings_tokens": "tokens",
    "template": "templates",
}
# Pages that take a right to be read; posting to them, where that is possible, takes the same.
GUARDED = {"everything": "export people", "write_form": "write", "write_text": "write"}
GUARDED_THAT_CHANGE = {
    "erase": "erase",
    "erase_person": "erase",
    "event_link": "event",
    "label_delete": "labels",
    "person": "users",
    "person_new": "users",
}


# Addresses that stand for several: whether each is read or changes something, and the right each name takes.
SEVERAL: dict[str, tuple[bool, dict[str, str]]] = {
    "form": (False, FORMS),
    "export": (False, {name: table.right for name, table in EXPORTS.items()}),
    "many": (True, {name: KINDS[name].right for name in HOWS}),
    "many_ask": (True, {name: KINDS[name].right for name in HOWS}),
}


class Address(NamedTuple):
    """An address, and the right it takes to be read and to be changed; "" where that cannot be done there at all."""

    name: str
    route: str
    reads: str
    changes: str


def addresses() -> Iterator[Address]:
    """Every address of the pages, but the open ones."""
    posted = {name: right for right, names in CHANGES.items() for name in names}
    posted |= {edit.address: edit.right for edit in EDITS.values()}
    for pattern in urls.urlpatterns:
        name, route = str(pattern.name), str(pattern.pattern)
        if name in OPEN:
            continue
        if name in SEVERAL:
            changes, rights = SEVERAL[name]
            for one, right in rights.items():
                named = route.replace("<slug:name>", one)
                yield Address(name, named, *(("", right) if changes else (right, "")))
        elif name in posted or name.startswith(("alert_", "alerts_")):
            yield Address(name, route, "", posted.get(name, "alert"))
        elif name in GUARDED_THAT_CHANGE:
            yield Address(name, route, GUARDED_THAT_CHANGE[name], GUARDED_THAT_CHANGE[name])
        else:
            yield Address(name, route, GUARDED.get(name, "read"), PAGES_THAT_CHANGE.get(name, ""))


def of_the_api() -> Iterator[tuple[URLPattern, str, dict[str, str]]]:
    """The addresses of the API: each with its route and the right that each of its methods takes."""
    for pattern in intake_urls.urlpatterns:
        rights = getattr(getattr(pattern.callback, "cls", None), "rights", None)
        if rights and pattern.name is None and str(pattern.pattern):
            yield pattern, f"/api/v1/{pattern.pattern}", rights


def may(role: str, right: str) -> bool:
    """Whether a role may do what a right names."""
    return role in RIGHTS[right]


def table() -> Iterator[tuple[str, ...]]:
    """The lines of the table: the method, the address, the right, and for each role whether it may."""
    for address in addresses():
        for method, right in (("GET", address.reads), ("POST", address.changes)):
            if right:
                yield _line(method, f"/{address.route}", right)
    for _, route, rights in of_the_api():
        for method, right in rights.items():
            yield _line(method, route, right)
    yield _line("any", "/admin/…", "admin")


def _line(method: str, route: str, right: str) -> tuple[str, ...]:
    return method, f"`{route}`", right, *("yes" if may(role, right) else "" for role in ROLES)
