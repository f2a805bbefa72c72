"""Where other systems' messages come in: checked, kept, answered; understood later, by the worker."""

from __future__ import annotations

import hashlib
from functools import partial

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from apps.crm.fields import Unreadable
from apps.intake.doors import DOORS, Door
from apps.intake.jobs import drain
from apps.intake.models import Event
from config.celery import ring_soon

LARGEST = 256 * 1024


def _error(status: int, code: str, sentence: str) -> JsonResponse:
    return JsonResponse({"error": code, "detail": sentence}, status=status)


@csrf_exempt
@login_not_required
@require_POST
def hook(request: HttpRequest, provider: str) -> JsonResponse:
    """Keep what a system that signs rightly tells us. 200 once it is kept, whatever it says."""
    door = DOORS[provider]
    if not door.secrets:
        return _error(503, "not_configured", f"This door is closed: {door.setting} is not set.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return _error(415, "unsupported", "The body must not be compressed.")
    body = request.read(LARGEST + 1)
    if len(body) > LARGEST:
        return _error(413, "too_large", f"The body is larger than {LARGEST // 1024} KB.")
    now = timezone.now()
    if not door.verify(request.headers, body, door.secrets, now):
        return _error(401, "unauthorized", "The signature is missing, wrong or out of its time.")
    external_id, type = _identified(door, request, body)
    new = Event.objects.keep(provider=provider, external_id=external_id, type=type, body=body, now=now)
    transaction.on_commit(partial(ring_soon, drain.name), robust=True)
    return JsonResponse({"kept": new})


def _identified(door: Door, request: HttpRequest, body: bytes) -> tuple[str, str]:
    """The event's own id and type; what holds no usable id goes by the digest of its body."""
    try:
        return door.identify(request.headers, door.parse(body))
    except Unreadable:
        return f"sha256:{hashlib.sha256(body).hexdigest()}", ""
