"""The board's page, and the parts of it that are fetched alone or drawn anew after a move."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from datetime import datetime
from functools import cache
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.template import engines
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from apps.crm.board import LANE_SIZE, rules
from apps.crm.models import Account, StageTransition
from apps.crm.pipeline import STAGES, Stage
from apps.crm.swims import CELL_SIZE
from apps.web.lanes import Board
from apps.web.lookback import board_of
from apps.web.rights import SignedIn

# However far somebody scrolled, a move draws no more cards of a lane than this, and reads no more of what was shown.
MOST_REDRAWN, MOST_SAID = 500, 20_000


@require_safe
def board(request: SignedIn) -> HttpResponse:
    asked = board_of(request, timezone.now())
    return render(
        request,
        "web/board.html",
        {
            "board": asked,
            "lanes": asked.lanes(asked.unfolded),
            "may_move": asked.user.may("move") and not asked.words,
            "rules_mark": _rules()[1],
        },
    )


@require_safe
def board_column(request: SignedIn, stage: str) -> HttpResponse:
    """One lane; with ``after`` only the cards below those already shown, to be put at its end."""
    here, asked = _stage(stage), board_of(request, timezone.now())
    if cursor := request.GET.get("after", ""):
        return HttpResponse(_drawn("cards", *asked.after(here, request.GET.get("row", ""), cursor)))
    lane = asked.lanes({here: {}}, [here])[0]
    return HttpResponse(_drawn("lane", lane))


@require_safe
def board_rules(request: SignedIn) -> HttpResponse:
    """Where a card of each standing may be dropped. Its address names its content, so it is asked for once."""
    body, mark = _rules()
    answer = HttpResponse(body, content_type="application/json", headers={"ETag": f'"{mark}"'})
    patch_cache_control(answer, private=True, max_age=365 * 24 * 3600, immutable=True)
    return answer


def board_parts(request: SignedIn, account: Account, *, now: datetime, moved: StageTransition | None) -> str:
    """The lanes a move touched, as they really are: where the page saw the card, where it was to go, where it is.

    ``shown`` of the form says how many cards the page holds in each lane, or in each row of it
    ("new:25,churned:0", "new/high:8"), so that nothing that was scrolled to goes away; a lane that is not named, or
    holds none, stays folded.
    """
    shown = _shown(request.POST.get("shown", ""))
    last = moved or account.transitions.first()
    touched = {request.POST.get("seen"), request.POST.get("to"), account.stage}
    touched |= {last.from_stage, last.to_stage} if last else set()
    stages = [stage for stage in STAGES if stage in touched]
    asked = Board(request, now)
    lanes = asked.lanes({stage: shown[stage] for stage in stages if stage in shown}, stages)
    return _drawn("parts", lanes)


def _shown(text: str) -> dict[str, dict[str, int]]:
    """How many cards to draw of each lane's rows: at least the first ones, at most a bound; folded lanes left out."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for part in text[:MOST_SAID].split(","):
        name, _, number = part.rpartition(":")
        stage, _, row = name.partition("/")
        if number.isdecimal() and (cards := int(number[:6])):
            found[stage][row] = min(max(cards, CELL_SIZE if row else LANE_SIZE), MOST_REDRAWN)
    return found


def _stage(name: str) -> Stage:
    if name not in set(STAGES):
        raise Http404(f"There is no stage {name}.")
    return Stage(name)


def _drawn(macro: str, *values: Any) -> str:
    """A macro of the board's template, rendered alone."""
    macros = engines["jinja2"].env.get_template("web/board_lanes.html").module  # type: ignore[attr-defined]
    return str(getattr(macros, macro)(*values))


@cache
def _rules() -> tuple[str, str]:
    """The rules as JSON, and a mark of just this content."""
    body = json.dumps(rules(), ensure_ascii=False, separators=(",", ":"))
    return body, hashlib.sha256(body.encode()).hexdigest()[:16]
