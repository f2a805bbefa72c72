"""Questions that Django writes once and that are asked again and again.

Django takes longer to write a question than the database to answer it. A question written here is kept while the
process lives; what differs from one asking to the next is put in when it is asked.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import connection, models
from django.db.models.expressions import Expression, Func
from psycopg.sql import Literal

# A question may differ by the day or by the person; of each kind so many are kept, those asked last.
MOST_KEPT = 200


class Given(Expression):
    """A place in a question for a value that comes only when it is asked."""

    def __init__(self, name: str, output_field: models.Field[Any, Any]) -> None:
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any, **more: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)


class AnyOf(Func):
    """Whether an id is one of an array: quick with any number of ids, and the planner sees how many they are."""

    template, arg_joiner = "%(expressions)s::bigint[])", " = ANY("
    output_field = models.BooleanField()


class Text(NamedTuple):
    """A question as it is sent: SQL, with places for the values that are given."""

    sql: str
    values: tuple[Given, ...] = ()
    # What Django makes of the columns it reads, by their place.
    read: Mapping[int, Any] = {}
    names: tuple[str, ...] = ()

    def ask(self, **given: Any) -> list[tuple[Any, ...]]:
        """The rows as tuples."""
        if not self.sql:
            return []
        values = [given[value.name] for value in self.values] or None
        with connection.cursor() as cursor:
            cursor.execute(self.sql, values)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return [self._as_read(row) for row in rows] if self.read else rows

    def dicts(self, **given: Any) -> list[dict[str, Any]]:
        """The rows as dicts, by the names of the columns asked for."""
        return [dict(zip(self.names, row, strict=True)) for row in self.ask(**given)]

    def _as_read(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        values = list(row)
        for place, (converters, expression) in self.read.items():
            for convert in converters:
                values[place] = convert(values[place], expression, connection)
        return tuple(values)


# Nothing is asked where nothing can be found.
NOTHING = Text("")

_PLACE = "\0"


def fixed(sql: str, values: Iterable[Any], **more: Any) -> Text:
    """The text of a query as Django wrote it. What is not given stands in the SQL: little is left to put in."""
    connection.ensure_connection()
    values = tuple(values)
    given = tuple(value for value in values if isinstance(value, Given))
    text: str = sql % tuple(_PLACE if isinstance(value, Given) else _literal(value) for value in values)
    return Text(text.replace("%", "%%").replace(_PLACE, "%s") if given else text, given, **more)


def _literal(value: Any) -> str:
    return Literal(value).as_string(connection.connection)


def written(rows: models.QuerySet[Any]) -> Text:
    """The text of a query for rows: instances, or values."""
    compiler = rows.query.get_compiler(connection=connection)
    try:
        sql, values = compiler.as_sql()
    except EmptyResultSet:
        return NOTHING
    columns = [column for column, *_ in compiler.select]
    names = [name or column.target.attname for column, _, name in compiler.select]
    return fixed(sql, values, read=compiler.get_converters(columns), names=tuple(names))


NOW = Text("SELECT pg_current_snapshot()::text", names=("mark",))
# The latest answers, by database and question, each with the mark of the moment before it was asked.
_answers: OrderedDict[tuple[str, str], tuple[str, list[tuple[Any, ...]]]] = OrderedDict()


def still(text: Text, mark: str) -> list[tuple[Any, ...]]:
    """The answer to a question in which no moment stands; ``mark`` is that of now.

    While the mark stays the same no transaction has ended anywhere in the server, and so no answer can be another:
    it is not asked again. Inside a transaction, whose own changes the mark does not tell of, it always is.
    """
    if connection.in_atomic_block:
        return text.ask()
    key = str(connection.settings_dict["NAME"]), text.sql
    known = _answers.get(key)
    if known and known[0] == mark:
        return known[1]
    answer = text.ask()
    _answers[key] = mark, answer
    if len(_answers) > MOST_KEPT:
        with suppress(KeyError):
            _answers.popitem(last=False)
    return answer


def as_it_is(text: Text) -> Text:
    """For a question whose text is written by hand."""
    return text


class Kept:
    """A kind of question: ``write`` makes the query from ``about``, what it depends on otherwise than by the values
    given. ``by`` stands for ``about``: where it is the same, the question is the same. Where it is None that cannot be
    told, and the question is written anew."""

    def __init__(
        self, write: Callable[..., Any], into: Callable[[Any], Text] = written, most: int = MOST_KEPT
    ) -> None:
        self._write, self._into, self._most = write, into, most
        self._texts: OrderedDict[Hashable, Text] = OrderedDict()

    def text(self, *about: Any, by: Hashable = ()) -> Text:
        if by is None:
            return self._into(self._write(*about))
        text = self._texts.get(by)
        if text is None:
            text = self._texts[by] = self._into(self._write(*about))
            if len(self._texts) > self._most:
                with suppress(KeyError):
                    self._texts.popitem(last=False)
        elif len(self._texts) > 1:
            self._used(by)
        return text

    def _used(self, by: Hashable) -> None:
        # Another thread may have dropped it meanwhile.
        with suppress(KeyError):
            self._texts.move_to_end(by)

    def rows(self, *about: Any, by: Hashable = (), **given: Any) -> list[tuple[Any, ...]]:
        """The rows as tuples."""
        return self.text(*about, by=by).ask(**given)

    def dicts(self, *about: Any, by: Hashable = (), **given: Any) -> list[dict[str, Any]]:
        """The rows as dicts, by the names of the columns asked for."""
        return self.text(*about, by=by).dicts(**given)

    def objects(self, model: type[models.Model], **given: Any) -> list[Any]:
        """The rows as instances, annotations with them; of a query for whole ones that joins no other."""
        text = self.text()
        number = len(model._meta.concrete_fields)
        found = []
        for row in text.ask(**given):
            one = model.from_db(connection.alias, text.names[:number], row[:number])
            one.__dict__.update(zip(text.names[number:], row[number:], strict=True))
            found.append(one)
        return found
