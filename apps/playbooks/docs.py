"""The page docs/playbooks.md, written from the registry so that it cannot grow stale."""

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
    numbers = "\n".join(map(_number, playbook.numbers))
    return f"""## {playbook.name}

{playbook.says} It {playbook.then.says}: once {playbook.once.says}.

For {playbook.whom}.

| number | default | unit | |
|---|---|---|---|
{numbers}
"""


def _number(name: str) -> str:
    """A row of the table of the numbers a playbook depends on."""
    number = NUMBERS[name]
    return f"| `{name}` | {number.default if number.default != '' else 'nobody'} | {number.unit} | {number.says} |"
