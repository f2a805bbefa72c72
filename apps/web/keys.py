"""Every key there is, in one table: what “?” shows, and where the two keys that begin with g lead."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """Keys pressed in turn (or, with a comma, one of several), what they do, and the right that needs."""

    keys: str
    says: str
    right: str = "read"
    goes: str = ""


KEYS: dict[str, tuple[Key, ...]] = {
    "Everywhere": (
        Key("/", "Find an account, or a command"),
        Key("Ctrl K", "The same, while typing too"),
        Key("?", "These keys"),
        Key("Esc", "Close what is open; what was typed stays"),
        Key("z", "Undo the last change while its toast is shown"),
        Key("g d", "Daily list", goes="/"),
        Key("g b", "Board", goes="/board/"),
        Key("g t", "Tasks", goes="/tasks/"),
        Key("g a", "Alerts", goes="/alerts/"),
        Key("g c", "Calls", goes="/calls/"),
        Key("g p", "Playbooks", goes="/playbooks/"),
        Key("g h", "Hygiene", goes="/hygiene/"),
        Key("g e", "Events", goes="/events/"),
        Key("g s", "Settings", goes="/settings/"),
    ),
    "Daily list": (
        Key("j, k", "Next, previous account"),
        Key("Enter", "Open it, or change the cell"),
        Key("→, ←", "Along its row to what can be changed there"),
        Key("n", "Next one that is new to you"),
        Key("m", "Move it; then a number such as 3b, or the arrows", "move"),
        Key("w", "Write to them", "write"),
        Key("Ctrl Enter", "Send what is written", "write"),
        Key("o", "Write a note", "note"),
        Key("c", "Say that you are on it", "write"),
        Key("s", "Snooze it", "write"),
        Key("e", "Copy its e-mails", "write"),
        Key("t", "Add a task", "task"),
        Key("a", "Assign it", "edit"),
        Key("l", "Its labels", "edit"),
        Key("r", "Its payment risk", "payment risk"),
        Key("f", "Filters"),
        Key("v", "Views"),
        Key("h", "Columns"),
        Key("x", "Choose it, with others", "move"),
        Key("Shift x", "Choose all up to it", "move"),
        Key("*", "Choose all that the filters show", "move"),
        Key("Esc", "Choose none", "move"),
    ),
    "Board": (
        Key("←, →, ↑, ↓", "From card to card"),
        Key("m", "Where the card may move; then a number such as 3b, or the arrows", "move"),
        Key("Enter", "Open its account"),
        Key("w", "Write to them", "write"),
        Key("c", "Say that you are on it", "write"),
        Key("s", "Snooze it", "write"),
        Key("e", "Copy its e-mails", "write"),
        Key("Esc", "Put back the card in hand", "move"),
    ),
    "Account": (
        Key("m", "Move it; then a number such as 3b, or the arrows", "move"),
        Key("w", "Write to them", "write"),
        Key("o", "Write a note", "note"),
        Key("c", "Say that you are on it", "write"),
        Key("s", "Snooze it", "write"),
        Key("e", "Copy its e-mails", "write"),
        Key("t", "Add a task", "task"),
        Key("a", "Assign it", "edit"),
        Key("l", "Its labels", "edit"),
        Key("r", "Its payment risk", "payment risk"),
        Key("j, k", "Next, previous account of the list behind"),
        Key("Esc", "Back to the list"),
    ),
    "Tasks": (
        Key("j, k", "Next, previous task"),
        Key("Enter", "Open its account"),
        Key("x", "Done", "task"),
        Key("1, 2, 3", "Add what comes next, once one is done", "task"),
        Key("s", "Move it to another day", "task"),
        Key("a", "Assign it", "task"),
        Key("e", "Edit it", "task"),
    ),
    "Alerts": (
        Key("j, k", "Next, previous alert"),
        Key("y", "Acknowledge it", "alert"),
        Key("s", "Snooze it", "alert"),
        Key("r", "Resolve it", "alert"),
        Key("a", "Assign it", "alert"),
        Key("v", "Choose it; the keys above then do it to all that are chosen", "alert"),
    ),
    "Calls": (
        Key("j, k", "Next, previous call"),
        Key("Enter", "Open its account"),
        Key("h", "It was held", "call"),
        Key("n", "No-show", "call"),
        Key("x", "Cancelled", "call"),
        Key("u", "Take the mark back", "call"),
        Key("o", "Add a host", "call"),
    ),
    "Hygiene": (
        Key("j, k", "Next, previous line"),
        Key("Enter", "Open its account"),
        Key("1, 2, 3", "Its first, second, third button"),
    ),
    "Events": (
        Key("j, k", "Next, previous event"),
        Key("Enter", "Open it"),
        Key("r", "Retry it", "event"),
        Key("l", "Link it to an account", "event"),
        Key("i", "Ignore it, with a word", "event"),
    ),
}

# Where the second key leads.
GOES = {key.keys[-1]: key.goes for keys in KEYS.values() for key in keys if key.goes}
