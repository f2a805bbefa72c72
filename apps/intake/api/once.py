"""`Idempotency-Key`: a POST that is sent again does nothing again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from django.http import HttpResponse, HttpResponseBase
from django.utils import timezone
from rest_framework.renderers import JSONRenderer

from apps.intake.api.door import Asked, Door
from apps.intake.api.errors import Problem
from apps.intake.tokens import KEPT, IdempotentAnswer, digest

_KEY = re.compile(r"[!-~]{1,200}")

Post = Callable[..., Any]


def once(post: Post) -> Post:
    """Keep the answer of a POST under its Idempotency-Key and give it again, for as long as it is kept.

    The answer is written in the transaction of what was done, so there is never one without the other. An error
    changed nothing and is not kept.
    """

    @wraps(post)
    def answer(door: Door, request: Asked, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return post(door, request, *args, **kwargs)
        if not _KEY.fullmatch(key):
            raise Problem(422, "invalid", "Idempotency-Key is 1 to 200 printable characters without spaces.")
        asked = digest(json.dumps([request.path, request.data], sort_keys=True, default=str))
        now = timezone.now()
        with transaction.atomic():
            if not IdempotentAnswer.objects.lock(request.auth, key):
                raise Problem(409, "in_flight", "A request with this Idempotency-Key is still at work.")
            kept = IdempotentAnswer.objects.filter(token=request.auth, key=key).first()
            if kept and now - kept.created_at < KEPT:
                return _again(kept, asked)
            response = post(door, request, *args, **kwargs)
            IdempotentAnswer.objects.sweep(now=now)
            IdempotentAnswer.objects.update_or_create(
                token=request.auth,
                key=key,
                defaults={
                    "asked": asked,
                    "status": response.status_code,
                    "answer": JSONRenderer().render(response.data).decode(),
                    "created_at": now,
                },
            )
            return response

    return answer


def _again(kept: IdempotentAnswer, asked: str) -> HttpResponse:
    if kept.asked != asked:
        raise Problem(422, "idempotency_key_reused", "This Idempotency-Key was used for another request.")
    return HttpResponse(
        kept.answer,
        status=kept.status,
        content_type="application/json",
        headers={"Idempotent-Replayed": "true"},
    )
