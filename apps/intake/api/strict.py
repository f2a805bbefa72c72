"""What goes in, read strictly: nothing that PostgreSQL cannot hold, nothing said twice, no field we do not know."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from django.core.validators import RegexValidator
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.parsers import BaseParser

from apps.intake.api.errors import Problem

MAX_BODY = 10 * 1024 * 1024
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _invalid(sentence: str) -> Problem:
    return Problem(422, "invalid", sentence)


def _refuse_constant(name: str) -> NoReturn:
    raise _invalid(f"{name} is not a number.")


def _finite(digits: str) -> float:
    if not math.isfinite(found := float(digits)):
        raise _invalid("A number in the body is too large.")
    return found


def _whole(digits: str) -> int:
    if len(digits) > 100:
        raise _invalid("A number in the body is too large.")
    return int(digits)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _invalid("A name stands twice in one object of the body.")
    return made


def _texts(value: Any) -> Iterator[str]:
    """Every string in a parsed body, names included."""
    left = [value]
    while left:
        found = left.pop()
        if isinstance(found, str):
            yield found
        elif isinstance(found, list):
            left.extend(found)
        elif isinstance(found, dict):
            left.extend((*found, *found.values()))


def refuse_unstorable(text: str) -> None:
    """Raise for a text with a NUL or half a surrogate pair, which no database column takes."""
    if _UNSTORABLE.search(text):
        raise _invalid("A text holds a NUL or a lone surrogate, which cannot be kept.")


def loads(raw: bytes) -> Any:
    """The JSON that these bytes hold; raises ``Problem`` for what is malformed or could not be kept."""
    try:
        body = json.loads(
            raw.decode(),
            object_pairs_hook=_each_once,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except UnicodeDecodeError:
        raise Problem(400, "malformed", "The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Problem(
            400,
            "malformed",
            f"The body is not JSON: {error.msg}, line {error.lineno}, column {error.colno}.",
        ) from None
    except RecursionError:
        raise Problem(400, "malformed", "The body is nested too deep.") from None
    # Raw, both are malformed already; only an escape can bring them in.
    if b"\\u" in raw:
        for text in _texts(body):
            refuse_unstorable(text)
    return body


class StrictJSON(BaseParser):
    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        raw = stream.read(MAX_BODY + 1)
        if len(raw) > MAX_BODY:
            raise Problem(413, "too_large", f"The body is larger than {MAX_BODY // 1024 // 1024} MB.")
        return loads(raw)


class Text(serializers.CharField):
    """A string as it was typed; a number is no string, and white space alone is no text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})
        if not self.allow_blank:
            self.validators.append(RegexValidator(r"\S", "This field may not be blank."))

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class Whole(serializers.IntegerField):
    """A whole number, written as one."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class Body(serializers.Serializer[Any]):
    """A body whose every field is known."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := sorted(set(data) - set(self.fields))):
            raise Problem(422, "unknown_fields", f"Unknown here: {', '.join(unknown)}.")
        return super().to_internal_value(data)

    @classmethod
    def read(cls, data: Any) -> dict[str, Any]:
        """The fields of a body, checked."""
        if not isinstance(data, Mapping):
            raise _invalid("The body is not an object.")
        body = cls(data=data)
        body.is_valid(raise_exception=True)
        return dict(body.validated_data)


class Query(Body):
    """The parameters of an address. A field of this class that is a list may be given several times."""

    @classmethod
    def read(cls, data: QueryDict) -> dict[str, Any]:
        for _, values in data.lists():
            for value in values:
                refuse_unstorable(str(value))
        lists = {
            name for name, field in cls._declared_fields.items() if isinstance(field, serializers.ListField)
        }
        return super().read({name: data.getlist(name) if name in lists else data[name] for name in data})
