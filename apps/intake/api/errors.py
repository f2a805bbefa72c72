"""Every error of the API has one shape, and a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions, serializers
from rest_framework.response import Response

from apps.crm.models.moving import MoveError

log = structlog.get_logger(__name__)

STATUS_OF_MOVE = {"refused": 409, "conflict": 409, "reason_required": 422}


class Problem(exceptions.APIException):
    """An answer other than the one asked for: status, code and sentence."""

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence, code)
        self.status_code, self.code = status, code


class ErrorAnswer(serializers.Serializer[Any]):
    error = serializers.CharField(help_text="What went wrong, as a word that does not change.")
    detail = serializers.CharField(help_text="The same as a sentence, for people.")
    request_id = serializers.CharField(allow_null=True, help_text="What our logs know this request by.")


# Answers that the framework gives by itself: the word each is known by here.
_CODES: dict[type[Exception], str] = {
    exceptions.NotAuthenticated: "unauthorized",
    exceptions.AuthenticationFailed: "unauthorized",
    exceptions.PermissionDenied: "forbidden",
    exceptions.NotFound: "not_found",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
    exceptions.Throttled: "too_many_requests",
}


def answer(error: Exception, context: Mapping[str, Any]) -> Response:
    """The answer to any exception of a view."""
    status, code, sentence = _describe(error)
    return Response(_body(code, sentence), status=status, headers=dict(_headers(error)))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The answer to what is refused before any view, such as an unknown host: a program's is one of ours, too."""
    if request.path_info.startswith(("/api/", "/hooks/")):
        return JsonResponse(
            _body("malformed", "This request is not for us: its host or form is wrong."), status=400
        )
    return defaults.bad_request(request, exception)


def _body(code: str, sentence: str) -> dict[str, str | None]:
    return {"error": code, "detail": sentence, "request_id": _request_id()}


def _describe(error: Exception) -> tuple[int, str, str]:
    match error:
        case MoveError():
            return STATUS_OF_MOVE[error.code], error.code, error.sentence
        case Problem():
            return error.status_code, error.code, str(error.detail)
        case exceptions.ValidationError():
            return 422, "invalid", " ".join(_sentences(error.detail))
        case Http404():
            return 404, "not_found", "There is nothing at this address."
        case PermissionDenied():
            return 403, "forbidden", "You may not do this."
        case exceptions.APIException():
            return error.status_code, _CODES[type(error)], str(error.detail)
    log.error("api_failed", exc_info=error)
    return (
        500,
        "internal",
        "Something broke on our side; nothing was changed. The logs have it by its request_id.",
    )


def _sentences(detail: Any, where: str = "") -> Iterator[str]:
    """Flatten the framework's nested messages into sentences that name their field."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            whole = "" if name == "non_field_errors" else f".{name}" if isinstance(name, str) else f"[{name}]"
            yield from _sentences(inner, f"{where}{whole}".lstrip("."))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _sentences(inner, where)
    else:
        yield f"{where}: {detail}" if where else str(detail)


def _headers(error: Exception) -> Iterator[tuple[str, str]]:
    if scheme := getattr(error, "auth_header", None):
        yield "WWW-Authenticate", scheme
    if wait := getattr(error, "wait", None):
        yield "Retry-After", str(int(wait))


def _request_id() -> str | None:
    return structlog.contextvars.get_contextvars().get("request_id")
