"""Reading a foreign payload: a path into it, a reader for what lies there, and a sentence where it is not so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from apps.crm.fields import YEARS, Unreadable
from apps.intake.api.errors import Problem
from apps.intake.api.strict import loads

# Stripe counts in the smallest coin: most have two decimals, these have none or three.
_WITHOUT_DECIMALS = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD JOD KWD OMR TND"
_DECIMALS = dict.fromkeys(_WITHOUT_DECIMALS.split(), 0) | dict.fromkeys(_THREE_DECIMALS.split(), 3)


def read_body(raw: bytes) -> Mapping[str, Any]:
    """The object that a body holds. Raises ``Unreadable``."""
    try:
        body = loads(raw)
    except Problem as problem:
        raise Unreadable(str(problem.detail)) from None
    if not isinstance(body, Mapping):
        raise Unreadable("The body is not an object.")
    return body


def at(data: Any, path: str) -> Any:
    """What lies at a dotted path; None where nothing does. A number is a place in a list."""
    for name in path.split("."):
        if isinstance(data, Mapping):
            data = data.get(name)
        elif isinstance(data, list) and name.isdigit() and int(name) < len(data):
            data = data[int(name)]
        else:
            return None
    return data


def maybe[T](data: Any, path: str, read: Callable[[Any], T]) -> T | None:
    """What lies at a path, read; None where nothing does. Raises ``Unreadable`` with the path."""
    value = at(data, path)
    if value is None:
        return None
    try:
        return read(value)
    except Unreadable as bad:
        raise Unreadable(f"“{path}” {bad.sentence}") from None


def need[T](data: Any, path: str, read: Callable[[Any], T]) -> T:
    """What lies at a path, read. Raises ``Unreadable`` where nothing does."""
    found = maybe(data, path, read)
    if found is None or found == "":
        raise Unreadable(f"“{path}” is missing.")
    return found


def seconds(value: Any) -> datetime:
    """A moment counted in seconds."""
    if type(value) is not int:
        raise Unreadable("is not a time in seconds.")
    try:
        found = datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        raise Unreadable("is not a time.") from None
    if found.year not in YEARS:
        raise Unreadable(f"is not between the years {YEARS[0]} and {YEARS[-1]}.")
    return found


def coins(currency: str) -> Callable[[Any], Decimal]:
    """A reader of an amount in a currency's smallest coin."""

    def read(value: Any) -> Decimal:
        if type(value) is not int or abs(value) >= 10**12:
            raise Unreadable("is not an amount in the smallest coin.")
        return Decimal(value).scaleb(-_DECIMALS.get(currency, 2)).quantize(Decimal("0.01"))

    return read


def count(value: Any) -> int:
    """A small whole number."""
    if type(value) is not int or not 0 <= value < 1_000_000:
        raise Unreadable("is not a small whole number.")
    return value


def currency(value: Any) -> str:
    """The three letters of a currency, as we write them."""
    if not isinstance(value, str) or not (len(value) == 3 and value.isascii() and value.isalpha()):
        raise Unreadable("is not a currency, such as USD.")
    return value.upper()
