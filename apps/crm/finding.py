"""Find: the accounts that a few letters mean, by name, domain, contact or id; one wrong letter is forgiven.

What is a letter away is not searched for by likeness, which reads the more rows the shorter a word is: all that is
one letter away is written down, some hundred words, and each looked up in an index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.postgres.search import SearchQueryField
from django.db import connection, models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Cast, Upper

from apps.crm.models import Account, Contact
from apps.crm.models.account import Words

SHOWN = 8
# As long as an address may be.
LONGEST = 254
COLUMNS = ("pk", "name", "domain", "external_id", "stage", "renewal_on")
# With fewer found than this, a letter may have been wrong.
ENOUGH = 3
# Of shorter words every second one is a letter away from another; longer ones are hardly typed.
FORGIVING = range(4, 16)
WORDS_FORGIVEN = 3
# What may stand where a wrong letter was typed.
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789äöüàáâãåæçèéêëíîïñóôøúûýßčšžğışłńśźő"  # noqa: RUF001
LETTERS_OF_ADDRESSES = "abcdefghijklmnopqrstuvwxyz0123456789.-"
LETTERS_OF_IDS = "abcdefghijklmnopqrstuvwxyz0123456789-_"

# Whether the database has a word, or one that begins so.
_KNOWN = """
    SELECT near FROM unnest(%s::text[]) near
    WHERE EXISTS (SELECT FROM crm_account WHERE {words} @@ (quote_literal(near) || %s)::tsquery)
""".format(words=Words.template % {"expressions": "search_text"})
# The accounts behind each of many ids or addresses: looked up one by one, however many the planner fears.
_BEHIND = {
    "external id": "SELECT id FROM crm_account WHERE external_id = near",
    "stripe id": "SELECT id FROM crm_account WHERE stripe_customer_id = near",
    "e-mail": "SELECT account_id FROM crm_contact WHERE email = near",
}


def find(text: str, shown: int = SHOWN) -> list[dict[str, Any]]:
    """At most ``shown`` accounts with their ``COLUMNS``, the surest first, by a handful of small queries.

    An id or address that is exactly this settles it. Else names that begin so come first, then accounts with all of
    its words somewhere; and where these are few, accounts that are one letter away.
    """
    text = " ".join(text.encode(errors="ignore").decode().replace("\0", " ").split())[:LONGEST].strip()
    found: dict[int, dict[str, Any]] = {}
    for rows in _exactly(text) if text else ():
        _take(rows, found, shown)
    if text and not found:
        for rows in _with_words(text):
            _take(rows, found, shown)
        if len(found) < min(ENOUGH, shown):
            for rows in _nearly(text):
                _take(rows, found, shown)
    return [*found.values()]


def by_ids(ids: Iterable[int]) -> list[dict[str, Any]]:
    """These accounts with their ``COLUMNS``, in this order, but those that are gone."""
    order = {pk: place for place, pk in enumerate(ids)}
    rows = Account.objects.filter(pk__in=order).values(*COLUMNS)
    return sorted(rows, key=lambda row: order[row["pk"]])


def near(word: str, letters: str = LETTERS) -> set[str]:
    """The word, and all that is one letter away: a letter too much, missing, wrong, or two that changed places."""
    parts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    return {
        word,
        *(head + tail[1:] for head, tail in parts if tail),
        *(head + tail[1] + tail[0] + tail[2:] for head, tail in parts if len(tail) > 1),
        *(head + letter + tail[1:] for head, tail in parts if tail for letter in letters),
        *(head + letter + tail for head, tail in parts for letter in letters),
    } - {""}


def _take(rows: Any, found: dict[int, dict[str, Any]], shown: int) -> None:
    if len(found) < shown:
        new = rows.exclude(pk__in=found)[: shown - len(found)]
        found.update((row["pk"], row) for row in new.values(*COLUMNS))


def _exactly(text: str) -> Iterator[Any]:
    """Accounts with just this id or this address."""
    everything = Account.objects.order_by()
    yield everything.filter(Q(external_id=text) | Q(stripe_customer_id=text))
    if "@" in text:
        addressed = Contact.objects.filter(email=text.lower()).values_list("account", flat=True)
        yield everything.filter(pk__in=list(addressed[:SHOWN]))


def _with_words(text: str) -> Iterator[Any]:
    """Accounts whose name begins so, and those with all of its words somewhere."""
    begins = Account.objects.alias(upper_name=Upper("name")).filter(upper_name__startswith=Upper(Value(text)))
    yield begins.order_by(Upper("name"), "pk")
    # Without three letters in a row no index helps, and every account would be read.
    if re.search(r"[^\W_]{3}", text):
        yield Account.objects.matching(text).order_by()


def _nearly(text: str) -> Iterator[Any]:
    """The ways to find accounts by what is one letter away from the text."""
    everything = Account.objects.order_by()
    if "@" in text:
        yield everything.filter(pk__in=_behind("e-mail", near(text.lower(), LETTERS_OF_ADDRESSES)))
        return
    if re.search(r"[0-9_]", text) and " " not in text and len(text) in range(4, 41):
        letters = LETTERS_OF_IDS if text == text.lower() else LETTERS_OF_IDS + LETTERS_OF_IDS[:26].upper()
        for what in ("external id", "stripe id"):
            yield everything.filter(pk__in=_behind(what, near(text, letters)))
    words = re.findall(r"[^\W_]+", text)[: 2 * WORDS_FORGIVEN]
    asked = [_lexemes(word, forgiving=at < WORDS_FORGIVEN) for at, word in enumerate(words)]
    if asked and all(asked):
        yield everything.filter(_has_words(" & ".join(f"({' | '.join(lexemes)})" for lexemes in asked)))


def _behind(what: str, close: set[str]) -> list[int]:
    with connection.cursor() as cursor:
        # The text is one of our own; what was typed stands beside it.
        cursor.execute(
            f"SELECT found.* FROM unnest(%s::text[]) near CROSS JOIN LATERAL ({_BEHIND[what]} OFFSET 0) found"
            f" LIMIT {SHOWN}",  # nosec B608
            [sorted(close)],
        )
        return [pk for (pk,) in cursor.fetchall()]


def _lexemes(word: str, *, forgiving: bool) -> list[str]:
    """How a query asks for a word: as words that are there, or else as the beginning of such."""
    if not forgiving or len(word) not in FORGIVING:
        return [f"'{_upper(word)}':*"]
    close = sorted({_upper(other) for other in near(word.lower())})
    # What is shorter than what was typed is the beginning of too much.
    ways = ("", close), (":*", [other for other in close if len(other) >= len(word)])
    with connection.cursor() as cursor:
        for ending, words in ways:
            cursor.execute(_KNOWN, [words, ending])
            if known := cursor.fetchall():
                return [f"'{other}'{ending}" for (other,) in known]
    return []


def _upper(word: str) -> str:
    """In capitals as the database writes them, letter for letter."""
    return "".join(letter.upper() if len(letter.upper()) == 1 else letter for letter in word)


def _has_words(asked: str) -> Func:
    return Func(
        Words(F("search_text")),
        Cast(Value(asked), SearchQueryField()),
        template="(%(expressions)s)",
        arg_joiner=" @@ ",
        output_field=models.BooleanField(),
    )
