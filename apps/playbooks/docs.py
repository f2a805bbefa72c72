"""The page docs/playbooks.md, written from the registry so that it cannot grow stale."""

from apps.crm.models.alert import ALERT_KINDS
from apps.crm.policy import NUMBERS
from apps.playbooks.registry import PLAYBOOKS, Playbook

HEAD = """# Playbooks

What happens by itself. A tick every minute asks each playbook whom it is for *now*, leaves out the occasions it has
acted on already, and acts. Run it twice, five times at once or after three days of silence: the end is the same.

A lead sees and steers each on its page under `/playbooks/`: whom it would act on, its runs, pause, and "skip this
account until its next renewal". `manage.py playbooks run` does by hand what the tick does, for any day.
"""


def markdown() -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *map(_section, PLAYBOOKS.values())])


def _section(playbook: Playbook) -> str:
    alert = ALERT_KINDS.get(playbook.name)
    closes = f" The alert closes by itself {alert.closes}." if alert else ""
    rows = "".join(map(_number, playbook.numbers))
    numbers = f"\n| number | default | unit | |\n|---|---|---|---|\n{rows}" if rows else ""
    return f"""## {playbook.name}

{playbook.says} It {playbook.then.says}: once {playbook.once.says}.{closes}

For {playbook.whom}.
{numbers}"""


def _number(name: str) -> str:
    """A row of the table of the numbers a playbook depends on."""
    number = NUMBERS[name]
    return f"| `{name}` | {number.default if number.default != '' else 'nobody'} | {number.unit} | {number.says} |\n"
