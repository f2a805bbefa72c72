"""The daily list as data: its columns, and its rows as strings ready to be shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import BigIntegerField, DateTimeField, F
from django.http import QueryDict
from markupsafe import escape

from apps.crm.days import day, spoken
from apps.crm.kept import AnyOf, Given, Kept
from apps.crm.models import AccountLabel, Call, Contact, User
from apps.crm.models.account import PaymentRisk, Plan
from apps.crm.models.waiting import first_outreach_due_on
from apps.crm.pipeline import OPEN, TOO_LONG_AFTER, Stage
from apps.crm.policy import Numbers
from apps.web.display import GROUPS, away_short, days_since, money, on_it, runway_at

BADGES_SHOWN = 3
LABELS_SHOWN = 2
# So many days before its credit ends an account is worth a look.
CREDIT_SOON = 30


Facts = Mapping[str, Any]


class Word(NamedTuple):
    """A short word with its meaning: bad, wait, good, info, accent, or none."""

    text: str
    meaning: str = ""

    def __html__(self) -> str:
        """How a template shows it."""
        return f'<b class="{self.meaning}">{escape(self.text)}</b>' if self.meaning else escape(self.text)


NOTHING = Word("")


class Column(NamedTuple):
    """A column of the list. ``form`` is what edits it in its place.

    The template draws the cells of the first ones by their key; the others say what stands there, of ``facts`` that
    are read only where they are chosen.
    """

    key: str
    label: str
    sort: str = ""
    number: bool = False
    form: str = ""
    facts: tuple[str, ...] = ()
    # What a phone, which shows no heads, puts before the cell where the columns were chosen.
    named: str = ""
    says: Callable[[Facts, Numbers], Word] | None = None


def _credit(fact: Facts, numbers: Numbers) -> Word:
    """The days until the plan ends, and with it the credit that came with it."""
    if fact["plan_ends_on"] is None:
        return NOTHING
    left = (fact["plan_ends_on"] - numbers.today).days
    return Word(f"{left:,}", "wait" if left <= CREDIT_SOON else "") if left >= 0 else Word("ended", "soft")


def _entered(fact: Facts, numbers: Numbers) -> Word:
    at = fact["entered_at"]
    return Word(day(numbers.day_of(at), numbers.today) if at else "")


def _risk(fact: Facts, numbers: Numbers) -> Word:
    risk = PaymentRisk(fact["payment_risk"])
    meanings = {PaymentRisk.HIGH: "bad", PaymentRisk.MEDIUM: "wait"}
    return Word(risk.label, meanings.get(risk, "")) if risk else NOTHING


_PLANS: dict[str, str] = {str(plan): plan.label if plan else "" for plan in Plan}

COLUMNS: dict[str, Column] = {
    column.key: column
    for column in (
        Column("account", "Account", "name"),
        Column("renewal", "Next renewal", "renewal", form="renewal"),
        Column("stage", "Stage", "stage"),
        Column("forecast", "Forecast", "forecast", number=True),
        Column("owner", "Owner", "owner", form="assign"),
        Column("outreach", "Last outreach", "outreach", named="Outreach"),
        Column("task", "Next due task", "task", form="next", named="Task"),
        Column("notes", "Notes", "notes", number=True, named="Notes"),
        Column("users", "Users", "users", number=True, named="Users"),
        Column("labels", "Labels", form="labels"),
        Column(
            "alerts",
            "Alerts",
            "alerts",
            number=True,
            named="Alerts",
            says=lambda fact, numbers: Word(
                _count(fact["open_alerts"]), "bad" if fact["open_alerts"] else ""
            ),
        ),
        Column("risk", "Payment risk", form="risk", named="Risk", says=_risk),
        Column("plan", "Plan", facts=("plan",), says=lambda fact, numbers: Word(_PLANS[fact["plan"]])),
        Column(
            "bills",
            "Bills paid",
            "bills",
            number=True,
            facts=("bills_paid",),
            named="Bills paid",
            says=lambda fact, numbers: Word(_count(fact["bills_paid"])),
        ),
        Column(
            "credit",
            "Credit days left",
            number=True,
            facts=("plan_ends_on",),
            named="Credit days",
            says=_credit,
        ),
        Column("entered", "Entered on", "entered", named="Entered", says=_entered),
        Column(
            "route",
            "Route",
            facts=("route",),
            says=lambda fact, numbers: Word(spoken(fact["route"], numbers.today)),
        ),
        Column("contacts", "Contacts’ e-mails"),
    )
}
DEFAULT_KEYS = tuple(COLUMNS)[:10]
DEFAULT_COLUMNS = tuple(COLUMNS[key] for key in DEFAULT_KEYS)


def columns_of(query: QueryDict) -> tuple[tuple[Column, ...], list[str]]:
    """The columns that ``columns=`` names, in its order, and a sentence for each it names that is none.

    The account comes first always; where none is named it is the usual ones.
    """
    given = [key for value in query.getlist("columns") for key in value.split(",") if key]
    unknown = [key for key in dict.fromkeys(given) if key not in COLUMNS]
    keys = dict.fromkeys(("account", *(key for key in given if key in COLUMNS)))
    notices = [
        f"Column “{key[:40]}” is not known here, so it was ignored." for key in unknown if key.isprintable()
    ]
    if len(keys) == 1 and "account" not in given:
        return DEFAULT_COLUMNS, notices
    return tuple(COLUMNS[key] for key in keys), notices


def names_of(columns: tuple[Column, ...]) -> dict[str, str]:
    """What a phone puts before the cells of chosen columns, by their keys; the usual ones have places of their own."""
    return (
        {} if columns == DEFAULT_COLUMNS else {column.key: column.named for column in columns if column.named}
    )


def facts_of(columns: Iterable[Column]) -> list[str]:
    """The facts that rows of these columns are made of."""
    return [*FACTS, *(fact for column in columns for fact in column.facts)]


# The facts a row is made of, read as dicts: instances would cost three times as much.
FACTS = (
    "pk",
    "name",
    "stage",
    "stage_since",
    "entered_at",
    "renewal_moved_at",
    "renewal_on",
    "forecast",
    "owner_id",
    "owner_reported",
    "last_outreach_at",
    "last_reply_at",
    "next_task_on",
    "notes_count",
    "users_count",
    "open_alerts",
    "payment_risk",
    "sales_contact_kind",
    "extended_until",
    "held_by",
    "quarantine",
    "claimed_by_id",
    "claimed_at",
    "snoozed_until",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One account of the list, ready to be shown."""

    pk: int
    name: str
    group: str
    fresh: bool
    badges: tuple[Word, ...]
    more_badges: str
    renewal: str
    away: Word
    runway: int | None
    stage: str
    stay: Word
    forecast: str
    owner: str
    outreach: Word
    task: Word
    notes: str
    users: str
    labels: str
    more_labels: str
    # What stands in the columns that are not among the usual ones.
    further: Mapping[str, Word]
    emails: tuple[str, ...]


def rows_of(
    facts: Iterable[Facts],
    numbers: Numbers,
    people: Mapping[int, str],
    reader: User,
    columns: Collection[Column] = DEFAULT_COLUMNS,
) -> list[Row]:
    """The rows for these facts, in their order. Two queries, however many: labels and booked calls; and contacts.

    What entered or got another renewal since ``reader`` looked is new; a task is due by their own day.
    """
    facts = list(facts)
    ids = [fact["pk"] for fact in facts]
    labels = _labels_of(ids)
    calls = _calls_ahead_of(ids, numbers)
    emails = _emails_of(ids) if COLUMNS["contacts"] in columns else {}
    says = [(column.key, column.says) for column in columns if column.says]
    return [
        _row(
            fact,
            numbers,
            people,
            reader,
            labels[fact["pk"]],
            calls.get(fact["pk"]),
            {key: say(fact, numbers) for key, say in says},
            tuple(emails.get(fact["pk"], ())),
        )
        for fact in facts
    ]


def _row(
    fact: Facts,
    numbers: Numbers,
    people: Mapping[int, str],
    reader: User,
    labels: list[str],
    call_at: datetime | None,
    further: Mapping[str, Word],
    emails: tuple[str, ...],
) -> Row:
    stage = Stage(fact["stage"])
    renewal: date | None = fact["renewal_on"]
    news = _news(fact, reader.looked_from)
    badges = [*_claimed(fact, numbers, people), *news, *_badges(fact, numbers, call_at)]
    return Row(
        pk=fact["pk"],
        name=fact["name"],
        group=GROUPS[stage],
        fresh=bool(news),
        badges=tuple(badges[:BADGES_SHOWN]),
        more_badges=", ".join(badge.text for badge in badges[BADGES_SHOWN:]),
        renewal=day(renewal, numbers.today),
        away=_away(renewal, numbers.today, open_stage=stage in OPEN),
        runway=runway_at((renewal - numbers.today).days) if renewal and stage in OPEN else None,
        stage=stage.label,
        stay=stay(stage, fact["stage_since"], numbers.now),
        forecast=money(fact["forecast"]),
        owner=people.get(fact["owner_id"], fact["owner_reported"]),
        outreach=_outreach(stage, fact, numbers),
        task=_due(fact["next_task_on"], reader.today(numbers.now)),
        notes=_count(fact["notes_count"]),
        users=_count(fact["users_count"]),
        labels=", ".join(labels[:LABELS_SHOWN]),
        more_labels=", ".join(labels[LABELS_SHOWN:]),
        further=further,
        emails=emails,
    )


def _news(fact: Facts, looked: datetime) -> list[Word]:
    """What is new about an account since the reader looked."""
    if fact["entered_at"] and fact["entered_at"] > looked:
        return [Word("New", "accent")]
    moved = fact["renewal_moved_at"]
    return [Word("Renewal moved", "accent")] if moved and moved > looked else []


def _claimed(fact: Mapping[str, Any], numbers: Numbers, people: Mapping[int, str]) -> list[Word]:
    # A row is narrow: a first name will do there.
    who = people.get(fact["claimed_by_id"], "").partition(" ")[0]
    words = on_it(who, fact["claimed_at"], numbers).replace(" is on this", " on it")
    return [Word(words, "claim")] if words else []


def stay(stage: Stage, since: datetime | None, now: datetime) -> Word:
    """The days at a stage, and by how many that is too long: a third over is bad, less is worth a look."""
    if not stage or since is None:
        return NOTHING
    days = days_since(since, now)
    over = days - TOO_LONG_AFTER.get(stage, days)
    if over <= 0:
        return Word(f"{days} d")
    return Word(f"{days} d, {over} over", "bad" if over * 3 > days else "wait")


def _away(renewal: date | None, today: date, *, open_stage: bool) -> Word:
    late = renewal is not None and renewal < today and open_stage
    return Word(away_short(renewal, today), "bad" if late else "")


def _outreach(stage: Stage, fact: Facts, numbers: Numbers) -> Word:
    """When they were last written to; before that, by when they must be."""
    if stage != Stage.NEW or fact["entered_at"] is None:
        at = fact["last_outreach_at"]
        return Word(day(numbers.day_of(at), numbers.today) if at else "")
    due = first_outreach_due_on(fact["entered_at"], fact["renewal_on"], numbers)
    late = (numbers.today - due).days
    if late > 0:
        return Word(f"Write now, {late} d late", "bad")
    return Word("Write today", "wait") if not late else Word(f"Write by {day(due, numbers.today)}", "soft")


def _due(when: date | None, today: date) -> Word:
    if when is None:
        return NOTHING
    if when < today:
        return Word(f"{day(when, today)}, {(today - when).days} d late", "bad")
    return Word("Today", "wait") if when == today else Word(day(when, today))


def _badges(fact: Facts, numbers: Numbers, call_at: datetime | None) -> list[Word]:
    """What sets this account apart, the most urgent first."""
    alerts, risk, extended = fact["open_alerts"], fact["payment_risk"], fact["extended_until"]
    replied, written = fact["last_reply_at"], fact["last_outreach_at"]
    called = numbers.day_of(call_at) if call_at else None
    entered = fact["entered_at"]
    snoozed = fact["snoozed_until"]
    told = (
        (alerts, f"{alerts} alerts" if alerts > 1 else "Alert", "bad"),
        (replied and (written is None or replied > written), "Replied", "info"),
        (called, f"Call {day(called, numbers.today)}", "accent"),
        (snoozed and snoozed > numbers.today, f"Snoozed to {day(snoozed, numbers.today)}", ""),
        (fact["quarantine"], "Needs a stage", "wait"),
        (risk in (PaymentRisk.HIGH, PaymentRisk.MEDIUM), f"Risk {risk}", "bad" if risk == "high" else "wait"),
        (fact["stage"] and entered and numbers.now - entered < timedelta(days=2), "New", "good"),
        (fact["sales_contact_kind"], fact["sales_contact_kind"], ""),
        (extended and extended >= numbers.today, f"Until {day(extended, numbers.today)}", ""),
        (fact["held_by"], "Held", ""),
    )
    return [Word(text, meaning) for holds, text, meaning in told if holds]


_IDS = Given("ids", BigIntegerField())
_LABELS = Kept(
    lambda: (
        AccountLabel.objects.filter(AnyOf(F("account"), _IDS))
        .order_by("label__name")
        .values_list("account", "label__name")
    )
)
_CALLS = Kept(
    lambda: (
        Call.objects.filter(
            AnyOf(F("account"), _IDS),
            status=Call.Status.BOOKED,
            starts_at__gte=Given("begin", DateTimeField()),
        )
        .order_by("-starts_at")
        .values_list("account", "starts_at")
    )
)


def _labels_of(ids: list[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for pk, name in _LABELS.rows(ids=ids):
        found[pk].append(name)
    return found


def _emails_of(ids: list[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for pk, email in Contact.objects.filter(account__in=ids).order_by("pk").values_list("account", "email"):
        found[pk].append(email)
    return found


def _calls_ahead_of(ids: list[int], numbers: Numbers) -> dict[int, datetime]:
    """The next booked call of each account that has one, today's included."""
    # The earliest comes last, and so stays.
    return dict(_CALLS.rows(ids=ids, begin=numbers.start_of(numbers.today)))


def _count(number: int | None) -> str:
    return f"{number:,}" if number else ""
