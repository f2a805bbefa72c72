"""The API's own description: OpenAPI, and the page that shows it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from apps.intake.api.door import Bearer, Door
from apps.intake.api.errors import ErrorAnswer

_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "pattern": "^[!-~]{1,200}$"},
    OpenApiParameter.HEADER,
    description="Sent again with the same body, the answer is given again and nothing is done. Kept 24 hours.",
)


def describe(
    operation: str,
    tag: str,
    answers: Any,
    *,
    query: Any = None,
    body: Any = None,
    status: int = 200,
    missing: bool = False,
    refused: bool = False,
    once: bool = False,
) -> Callable[[Any], Any]:
    """What the schema says of a method: what goes in, what comes out, and each status it can answer with."""
    reads = {query: (422,), body: (413, 415, 422)}
    errors = {400, 401, 403, 429, *(reads[query] if query else ()), *(reads[body] if body else ())}
    errors |= ({404} if missing else set()) | ({409} if refused or once else set())
    return extend_schema(
        operation_id=operation,
        tags=[tag],
        parameters=[*([query] if query else []), *([_KEY] if refused or once else [])],
        request=body,
        responses={status: answers, **dict.fromkeys(sorted(errors), ErrorAnswer)},
    )


class BearerScheme(OpenApiAuthenticationExtension):
    target_class = Bearer
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


def closed_objects(result: Any, generator: Any, request: Any, public: bool) -> Any:
    """A hook of drf-spectacular: a body with a field we do not know is refused, and the schema says so."""
    for name, component in result["components"]["schemas"].items():
        if name.endswith(("Body", "Reported")):
            component["additionalProperties"] = False
    return result


@lru_cache(maxsize=1)
def described() -> Any:
    """The whole API as OpenAPI."""
    return SchemaGenerator().get_schema(request=None, public=True)


class OpenAPI(Door):
    """For programs with a token, and for people who are logged in."""

    schema = None
    authentication_classes = [Bearer, SessionAuthentication]

    def get(self, request: Request) -> Response:
        return Response(described())


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    return render(request, "api/docs.html")
