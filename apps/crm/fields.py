"""What other systems may say about an account: each field, how its value is read, and why it is refused.

The readers take a cell of a CSV file as well as a value of JSON, and guess nothing: a day is ISO, a number is
plain. Text is kept as it was typed, formulas and direction marks included; making it inert is the output's work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from apps.crm.models.account import PaymentRisk, Plan

YEARS = range(2000, 2101)
MOST_CONTACTS = 500
MOST_LABELS = 50
SALES_CONTACT_KINDS = ("AE", "CSM", "AM")

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})"
)
_MONEY = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,2}0*)?")
_WHOLE = re.compile(r"[0-9]{1,10}")
_LARGEST_WHOLE = 2_147_483_647


class Unreadable(ValueError):
    """A value that was not understood; ``sentence`` says what is wrong with it, without naming its field."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True)
class Problem:
    """What is wrong with one value of one row. ``row`` is the number its caller gave it: a line, a position.

    ``file`` tells the files of a folder apart.
    """

    row: int
    field: str
    value: str
    sentence: str
    file: str = ""


def text(longest: int, *, typed: bool = False) -> Callable[[Any], str]:
    """A reader of text up to ``longest`` characters; ``typed`` keeps the white space around it."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise Unreadable("is not text.")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unreadable("holds a broken character (a lone surrogate).") from None
        if "\x00" in value:
            raise Unreadable("holds a NUL character.")
        kept = value if typed and value.strip() else value.strip()
        if len(kept) > longest:
            raise Unreadable(f"is longer than {longest} characters.")
        return kept

    return read


_plain = text(100_000)


def money(value: Any) -> Decimal:
    """US dollars. A fraction must come as text: a JSON number may have lost cents on its way."""
    if isinstance(value, float):
        raise Unreadable("is a floating number: write money as text, such as “1234.50”.")
    written = str(value) if type(value) is int else _plain(value)
    if not _MONEY.fullmatch(written):
        raise Unreadable("is not a plain number with up to two decimals, such as 1234.50.")
    return Decimal(written).quantize(Decimal("0.01"))


def whole(value: Any) -> int:
    written = str(value) if type(value) is int else _plain(value)
    if not _WHOLE.fullmatch(written) or int(written) > _LARGEST_WHOLE:
        raise Unreadable("is not a whole number, such as 12.")
    return int(written)


def day(value: Any) -> date:
    written = _plain(value)
    try:
        found = date.fromisoformat(written) if _DAY.fullmatch(written) else None
    except ValueError:
        raise Unreadable("is not a day of the calendar.") from None
    if found is None:
        raise Unreadable("is not a date like 2026-12-01.")
    return _in_our_time(found)


def moment(value: Any) -> datetime:
    written = _plain(value)
    try:
        found = datetime.fromisoformat(written) if _MOMENT.fullmatch(written) else None
    except ValueError:
        raise Unreadable("is not a time of the calendar and the clock.") from None
    if found is None:
        raise Unreadable("is not a time with its zone, like 2026-12-01T09:00:00Z.")
    return _in_our_time(found)


def day_or_moment(value: Any) -> date:
    """A day, or a moment (a ``datetime``), whichever it is written as."""
    written = _plain(value)
    return moment(written) if "T" in written or ":" in written else day(written)


def _in_our_time[T: date](found: T) -> T:
    if found.year not in YEARS:
        raise Unreadable(f"is not between the years {YEARS[0]} and {YEARS[-1]}.")
    return found


_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    found = _YES_NO.get(_plain(value).lower())
    if found is None:
        raise Unreadable("is neither true nor false.")
    return found


_address = text(254)
_domain = text(253)


def email(value: Any) -> str:
    """An address, in lower case."""
    written = _address(value).lower()
    try:
        validate_email(written)
    except ValidationError:
        raise Unreadable("is not an e-mail address.") from None
    return written


def domain(value: Any) -> str:
    written = _domain(value).lower()
    if re.search(r"\s", written):
        raise Unreadable("is not a domain, such as example.com.")
    return written


@lru_cache(maxsize=1_000)
def words(written: str) -> str:
    """Fold case, and space, hyphen and underscore, so that two ways to write one name meet."""
    return " ".join(re.split(r"[\s_-]+", written.casefold().strip()))


def choice(choices: Any, says: str) -> Callable[[Any], str]:
    """A reader of a key or a label of ``choices``, in any case and with any of space, hyphen and underscore."""
    known = {words(word): member.value for member in choices for word in (member.value, member.label)}

    def read(value: Any) -> str:
        found = known.get(words(_plain(value)))
        if found is None:
            raise Unreadable(
                f"is not {says}: {', '.join(member.label for member in choices if member.value)}."
            )
        return str(found)

    return read


def _object(value: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Unreadable(f"is not an object with {', '.join(known)}.")
    for name in value:
        if name not in known:
            raise Unreadable(f"has a part nobody knows; the known ones are {', '.join(known)}.")
    return value


def _list(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise Unreadable("is not a list.")
    if len(value) > most:
        raise Unreadable(f"has more than {most} entries.")
    return value


_PERSON: dict[str, Callable[[Any], str]] = {"email": email, "name": text(200), "role": text(100)}


def sales_contact(value: Any) -> dict[str, str]:
    """The AE, CSM or AM: ``{"kind", "name", "email"}``, the last two may be left out."""
    given = _object(value, ("kind", "name", "email"))
    kind = _plain(given.get("kind") or "").upper()
    if kind not in SALES_CONTACT_KINDS:
        raise Unreadable(f"needs a kind, one of {', '.join(SALES_CONTACT_KINDS)}.")
    return {
        "kind": kind,
        "name": _PERSON["name"](given.get("name") or ""),
        "email": email(given["email"]) if given.get("email") else "",
    }


def contacts(value: Any) -> list[dict[str, str]]:
    """People by e-mail: ``[{"email", "name", "role"}]``; of one address named twice the later words count."""
    people: dict[str, dict[str, str]] = {}
    for entry in _list(value, MOST_CONTACTS):
        given = _object(entry, tuple(_PERSON))
        person = {name: _PERSON[name](part) for name, part in given.items() if part is not None}
        if not person.get("email"):
            raise Unreadable("has an entry without an e-mail.")
        people.setdefault(person["email"], {}).update(person)
    return list(people.values())


def labels(value: Any) -> list[str]:
    """Words of up to 80 characters; one written twice counts once, in whatever case."""
    read = text(80)
    names = [read(name) for name in _list(value, MOST_LABELS)]
    if not all(names):
        raise Unreadable("has an empty entry.")
    return list({name.lower(): name for name in names}.values())


MUST = object()


@dataclass(frozen=True)
class Field:
    """One fact: what people call it, how it is read, and what clearing it (an explicit null) leaves."""

    label: str
    read: Callable[[Any], Any]
    cleared: Any = None


FIELDS: dict[str, Field] = {
    "external_id": Field("External id", text(200), MUST),
    "name": Field("Name", text(300, typed=True), MUST),
    "domain": Field("Domain", domain, ""),
    "plan": Field("Plan", choice(Plan, "a plan we know"), ""),
    "mrr": Field("MRR", money),
    "forecast": Field("Forecasted bill", money),
    "forecast_at": Field("Forecasted at", moment),
    "credit_use": Field("Credit use a month", money),
    "bills_paid": Field("Bills paid", whole, 0),
    "next_renewal_on": Field("Next renewal", day),
    "contract_renewal_on": Field("Contract renewal", day),
    "plan_ends_on": Field("Plan ends", day),
    "users_count": Field("Users", whole),
    "stripe_customer_id": Field("Stripe customer", text(200)),
    "sales_contact": Field("Sales contact", sales_contact),
    "contacted_sales": Field("Contacted Sales", boolean, False),
    "contacts": Field("Contacts", contacts, MUST),
    "labels": Field("Labels", labels, MUST),
}
# What only a file may say: here it is set by people.
IMPORTED: dict[str, Field] = {
    "payment_risk": Field("Payment risk", choice(PaymentRisk, "a payment risk"), ""),
}


def shown(value: Any) -> str:
    """A value as an error names it: short, and fit to be printed and stored."""
    written = value if isinstance(value, str) else repr(value)
    written = written.encode(errors="backslashreplace").decode().replace("\x00", "\\x00")
    return written if len(written) <= 100 else f"{written[:99]}…"


def read_value(field: Field, value: Any) -> Any:
    """One value, clean; an empty or null one is what clearing leaves. Raises ``Unreadable``."""
    if value is None or value == "":
        if field.cleared is MUST:
            raise Unreadable("is missing.")
        return field.cleared
    clean = field.read(value)
    if clean == "":
        return read_value(field, None)
    return clean


def read_account(given: Any, row: int = 0) -> tuple[dict[str, Any], list[Problem]]:
    """One account as ``PUT /accounts`` takes it: the clean fields it names, and all that is wrong with it.

    Fields left out stay out; unknown ones are problems, ``stage`` and the like among them.
    """
    if not isinstance(given, Mapping):
        return {}, [Problem(row, "", shown(given), "is not an object.")]
    clean: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in {"external_id": None, **given}.items():
        try:
            if name not in FIELDS:
                raise Unreadable("is not a field that can be reported.")
            clean[name] = read_value(FIELDS[name], value)
        except Unreadable as error:
            problems.append(Problem(row, shown(name), shown(value), error.sentence))
    return clean, problems
