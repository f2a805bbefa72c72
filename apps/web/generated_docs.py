"""The pages of docs/ that are read off the code, so that they cannot say anything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from django.conf import settings

from apps.crm.metrics import METRICS
from apps.crm.models.user import ROLES, ROLES_SAID
from apps.crm.pipeline import CLOSED, MOVES, STAGES, TOO_LONG_AFTER, Move, Stage
from apps.crm.policy import NUMBERS
from apps.playbooks.docs import markdown
from apps.web.roles import table as role_rows

HEAD = "<!-- Written by `manage.py docs`. Do not edit: `make check` compares it with the code. -->"
# A move made from nearly everywhere would hide the others: the diagram draws it from one place.
FROM_ANYWHERE = 8


def _table(head: str, rows: Iterable[tuple[str, ...]]) -> list[str]:
    columns = head.split(" | ")
    return [f"| {head} |", "|" + " --- |" * len(columns), *(f"| {' | '.join(row)} |" for row in rows)]


def _by_label() -> dict[tuple[str, Stage], list[Move]]:
    """The moves, those of one label and target together."""
    found: dict[tuple[str, Stage], list[Move]] = {}
    for move in MOVES.values():
        found.setdefault((move.label, move.target), []).append(move)
    return found


def _diagram() -> list[str]:
    lines = ["```mermaid", "stateDiagram-v2", '    state "any stage" as anywhere']
    lines += [f'    state "{stage.label}" as {stage}' for stage in STAGES]
    for (label, target), moves in _by_label().items():
        sources = ["anywhere"] if len(moves) > FROM_ANYWHERE else [move.source or "[*]" for move in moves]
        if "anywhere" in sources and any(not move.source for move in moves):
            sources.append("[*]")
        lines += [f"    {source} --> {target}: {label}" for source in sources]
    return [*lines, "```"]


def _stage_rows() -> Iterable[tuple[str, ...]]:
    for stage in STAGES:
        days = TOO_LONG_AFTER.get(stage)
        group = "closed" if stage in CLOSED else "open"
        yield f"`{stage}`", stage.label, group, f"{days} days" if days else ""


def _move_rows() -> Iterable[tuple[str, ...]]:
    for move in MOVES.values():
        yield (
            move.label,
            move.source.number,
            move.target.number,
            "a person, a playbook or an event" if move.automatic else "a person",
            " ".join(guard.refusal.replace("{engaged_on}", "DATE") for guard in move.guards),
            move.needs,
            move.engages or "",
        )


def _matrix_rows() -> Iterator[tuple[str, ...]]:
    """Every ordered pair of stages: who may make that move."""
    for source in Stage:
        moves = (MOVES.get((source, target)) for target in STAGES)
        yield (
            source.number,
            *(
                f"P{'A' if move.automatic else ''}{'*' if move.guards else ''}" if move else ""
                for move in moves
            ),
        )


def pipeline() -> str:
    """docs/pipeline.md: the stages, the diagram and every permitted move."""
    lines = [
        HEAD,
        "",
        "# The pipeline",
        "",
        "Where an account can stand and how it gets from one place to another, as declared in "
        "[apps/crm/pipeline.py](../apps/crm/pipeline.py). An account may also stand outside the pipeline: known, but "
        "not ours.",
        "",
        "## Stages",
        "",
        *_table("Key | Name | Group | Too long after", _stage_rows()),
        "",
        "## Diagram",
        "",
        f"The dot is “outside the pipeline”. A move made from more than {FROM_ANYWHERE} stages is drawn once, from "
        "“any stage”; the table below has each of its pairs.",
        "",
        *_diagram(),
        "",
        "## Moves",
        "",
        "Every pair that is not here is refused, whoever asks. “Unless” is the sentence a guard refuses with, “Needs” "
        "the text that a move asks for, “Engages” the engagement it records if there was none.",
        "",
        *_table("Move | From | To | Who | Unless | Needs | Engages", _move_rows()),
        "",
        "Two ways back have no fixed target and are asked for by name: *leave paid call* takes an account in 7 back to "
        "where it stood before, or outside; *undo* takes back the last move, while it is young and nothing has moved "
        "since.",
        "",
        "A first load places an account that the same file has just created at any stage; its ledger row says "
        "`import`.",
        "",
        "## Every pair",
        "",
        "From the left to the top: P a person, A a playbook or an event too, * under a guard.",
        "",
        *_table(f"From | {' | '.join(stage.number for stage in STAGES)}", _matrix_rows()),
    ]
    return "\n".join(lines) + "\n"


def policy() -> str:
    """docs/policy.md: the numbers a lead edits."""
    rows = (
        (
            f"`{name}`",
            f"{number.default}" or "(empty)",
            number.unit,
            number.says,
            "yes" if number.handbook else "",
        )
        for name, number in NUMBERS.items()
    )
    lines = [
        HEAD,
        "",
        "# The policy",
        "",
        "The numbers the team tunes, with their defaults. A lead changes one from a day on; the past keeps its rules. "
        "“Handbook” marks what the team's handbook gives; the others are our own.",
        "",
        *_table("Name | Default | Unit | Says | Handbook", rows),
    ]
    return "\n".join(lines) + "\n"


def playbooks() -> str:
    """docs/playbooks.md: what happens by itself."""
    return f"{HEAD}\n\n{markdown()}"


def settings_page() -> str:
    """docs/settings.md: what the environment may hold, as `.env.example` says it."""
    lines = [
        HEAD,
        "",
        "# Settings",
        "",
        "Each comes from the environment, or for a secret from the file that `NAME_FILE` names; "
        "[.env.example](../.env.example) is a file to start from.",
        "",
        *_table("Name | Default or example | Says", _setting_rows()),
    ]
    return "\n".join(lines) + "\n"


def _setting_rows() -> Iterable[tuple[str, ...]]:
    said: list[str] = []
    for line in (settings.BASE_DIR / ".env.example").read_text(encoding="utf-8").splitlines():
        name, is_setting, value = line.partition("=")
        if line.startswith("#"):
            said.append(line.removeprefix("# "))
        elif is_setting:
            yield f"`{name}`", f"`{value}`" if value else "", " ".join(said)
            said = []
        else:
            said = []


def roles() -> str:
    """docs/roles.md: who may what."""
    lines = [
        HEAD,
        "",
        "# Who may what",
        "",
        "Which right each address takes, and which role has it, from the table in "
        "[apps/web/roles.py](../apps/web/roles.py); a test asks every address as every role. Somebody may hold "
        "several roles. What is not listed is open to all: signing in, the probes, and the survey and the end of mail "
        "that a customer is sent a link to. Webhooks are let in by their signatures, `/metrics` by its token.",
        "",
        *_table(
            "Role | Who it is for",
            ((role, f"{said[0].upper()}{said[1:]}.") for role, said in ROLES_SAID.items()),
        ),
        "",
        *_table(f"Method | Address | Right | {' | '.join(ROLES)}", role_rows()),
    ]
    return "\n".join(lines) + "\n"


def numbers() -> str:
    """docs/numbers.md: what the team is run by."""
    lines = [
        HEAD,
        "",
        "# The numbers",
        "",
        "What the reports count, as declared in [apps/crm/metrics](../apps/crm/metrics/__init__.py). Each number"
        " leads to its accounts, has a CSV file, and an address of the API (`/api/v1/metrics/NAME`).",
        "[A small data set worked out by hand](metrics.md) shows each of them.",
        "",
        "A month of retention, net dollar retention, outreach or survey is kept three days (policy) after it closed,"
        " and from then on told as it was, in page, plot, file, mail and API. Bills that came or were voided later, or"
        " a new version of the definition, do not redraw it: what it would be today stands beneath its row.",
        "",
        *_table("Name | Called | Definition | From | Version", _metric_rows()),
    ]
    return "\n".join(lines) + "\n"


def _metric_rows() -> Iterable[tuple[str, ...]]:
    for metric in METRICS.values():
        yield f"`{metric.name}`", metric.label, metric.says, metric.source, f"{metric.version}"


PAGES: dict[str, Callable[[], str]] = {
    "docs/numbers.md": numbers,
    "docs/pipeline.md": pipeline,
    "docs/playbooks.md": playbooks,
    "docs/policy.md": policy,
    "docs/roles.md": roles,
    "docs/settings.md": settings_page,
}
