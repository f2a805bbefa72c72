"""A row of the list and a card of the board as HTML: what a page draws by the hundred is drawn without a template.

A template takes four times as long for the same. Whatever is text goes through ``escape`` here, our own words too.
Cells and paragraphs are ended by what follows them, as HTML has it: their end tags would be a twelfth of a list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache

from markupsafe import Markup, escape

from apps.web.lanes import Card
from apps.web.tables import Row, Word


@lru_cache(maxsize=4096)
def _word(word: Word) -> str:
    return word.__html__()


@lru_cache(maxsize=4096)
def _chip(badge: Word) -> str:
    return f'<i class="chip {badge.meaning}">{escape(badge.text)}</i>'


@lru_cache(maxsize=1024)
def _told(text: str) -> str:
    """Text that stands in many rows: a name of ours, a stage, a sum."""
    return str(escape(text))


def _more(texts: str) -> str:
    return f'title="{escape(texts)}">+{texts.count(",") + 1}'


def _account(row: Row) -> str:
    badges = "".join(f" {_chip(badge)}" for badge in row.badges)
    more = f' <i class="chip" {_more(row.more_badges)}</i>' if row.more_badges else ""
    return f'<th scope="row"><a href="/accounts/{row.pk}/">{escape(row.name)}</a>{badges}{more}'


def _renewal(row: Row) -> str:
    if not row.renewal:
        return "<td>"
    runway = "" if row.runway is None else f'<svg><use href="#rw"/><circle cx="{row.runway}"/></svg>'
    return f"<td>{row.renewal} <small>· {_word(row.away)}</small>{runway}"


def _labels(row: Row) -> str:
    more = f" <small {_more(row.more_labels)}</small>" if row.more_labels else ""
    return f"<td>{escape(row.labels)}{more}"


def _contacts(row: Row) -> str:
    if not row.emails:
        return '<td class="copied">'
    first, every = escape(row.emails[0]), escape(", ".join(row.emails))
    more = f" <small>+{len(row.emails) - 1}</small>" if len(row.emails) > 1 else ""
    return (
        f'<td class="copied"><button type="button" class="link" data-copy="{every}" title="Copy {every}">'
        f"{first}</button>{more}"
    )


def _route(row: Row) -> str:
    route = row.further["route"]
    return f'<td class="long" title="{escape(route.text)}">{_word(route)}'


# How the cells of a column are drawn.
_CELLS: dict[str, Callable[[Row], str]] = {
    "account": _account,
    "renewal": _renewal,
    "stage": lambda row: f'<td class="stage">{_told(row.stage)} <small>{_word(row.stay)}</small>',
    "forecast": lambda row: f'<td class="n">{row.forecast}',
    "owner": lambda row: f"<td>{_told(row.owner)}",
    "labels": _labels,
    "contacts": _contacts,
    "route": _route,
}
# What stands in the cells of others, and nothing beside it; it is a further word where the row has no place for it.
_HELD: dict[str, Callable[[Row], str]] = {
    "outreach": lambda row: _word(row.outreach),
    "task": lambda row: _word(row.task),
    "notes": lambda row: row.notes,
    "users": lambda row: row.users,
}
_NUMBERS = ("notes", "users", "alerts", "bills", "credit")


@lru_cache(maxsize=128)
def _cell(key: str, name: str) -> Callable[[Row], str]:
    """How the cells of a column are drawn; ``name`` is what a phone, which shows no heads, puts before them."""
    if key in _CELLS:
        return _CELLS[key]
    number, named = ' class="n"' if key in _NUMBERS else "", f' data-l="{escape(name)}"' if name else ""
    held = _HELD.get(key) or (lambda row: _word(row.further[key]))
    return lambda row: f"<td{number}{named}>{held(row)}"


def lines(rows: Iterable[Row], columns: Collection[str], named: Mapping[str, str]) -> Markup:
    """Rows of the list, with the cells of these columns, and before them the names of those that have one."""
    cells = [_cell(key, named.get(key, "")) for key in columns]
    return Markup(  # nosec B704
        "\n".join(
            f'<tr id="a{row.pk}" data-group="{row.group}"{" data-fresh" if row.fresh else ""}>'
            f"{''.join([cell(row) for cell in cells])}<td></tr>"
            for row in rows
        )
    )


def cards(given: Iterable[Card]) -> Markup:
    """Cards of the board, one below the other."""
    return Markup("\n".join(map(_card, given)))  # nosec B704


def _card(it: Card) -> str:
    # What lanes.js reads of a card, said in one breath.
    facts = f"{it.version} {it.standing} {it.renews} {it.engaged_on}".rstrip()
    return (
        f'<li class="card" id="a{it.pk}" data-is="{facts}"><a href="/accounts/{it.pk}/">{escape(it.name)}</a>'
        f"<p>{_word(it.renewal)}<b>{it.forecast}</b><p>{_word(it.here)}<i>{_told(it.owner)}</i>"
        f"{_badges(it) if it.badges else ''}</li>"
    )


def _badges(it: Card) -> str:
    words = ", ".join(badge.text for badge in it.further)
    more = f'<i class="chip" title="{escape(words)}">+{len(it.further)}</i>' if it.further else ""
    return f'<p class="badges">{"".join(map(_chip, it.badges))}{more}'
