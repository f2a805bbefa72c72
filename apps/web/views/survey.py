"""The survey: what a customer sees who follows the link in our mail, without a login and without script."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.crm.models import Policy, Survey
from apps.crm.models.survey import CHANGEABLE, HIGHEST, LONGEST_WORD, LOWEST
from apps.crm.policy import Numbers
from apps.web.forms.work import AnswerForm


# The token in the address is the proof, which nobody else has: no cookie is needed, nor a form's token against others.
@require_http_methods(["GET", "HEAD", "POST"])
@login_not_required
@csrf_exempt
@never_cache
def survey(request: HttpRequest, token: str) -> HttpResponse:
    """The survey of one closing. A look at it changes nothing, whatever score the link carries."""
    found = Survey.objects.of_token(token)
    if found is None:
        return _page(request, {"state": "broken"}, status=404)
    numbers = Policy.at(timezone.now())
    if request.method != "POST":
        closed = found.score is None and not found.is_open(numbers)
        return _page(
            request, _of(found, numbers, score=_asked(request, found)), status=410 if closed else 200
        )
    form = AnswerForm(request.POST)
    if not form.is_valid() and found.is_open(numbers):
        sentence = next(iter(form.errors.values()))[0]
        typed = _of(found, numbers, score=form.data.get("score"), word=form.data.get("word", ""))
        return _page(request, typed | {"sentence": sentence}, status=422)
    if form.is_valid() and found.answer(**form.cleaned_data, numbers=numbers):
        return redirect("web:survey", token)
    return _page(request, _of(found, numbers), status=410)


def _asked(request: HttpRequest, found: Survey) -> str:
    """The score to begin with: the one the link in the mail carries, else the one that was given."""
    given = "" if found.score is None else str(found.score)
    asked = request.GET.get("score", "")
    return asked if asked in dict(AnswerForm.base_fields["score"].choices) else given  # type: ignore[attr-defined]


def _of(
    found: Survey, numbers: Numbers, *, score: str | None = "", word: str | None = None
) -> dict[str, Any]:
    return {
        "state": "open" if found.is_open(numbers) else "closed",
        "today": numbers.today,
        "survey": found,
        "ends_on": numbers.day_of(found.ends_at(numbers)),
        "answered_on": found.changed_at and numbers.day_of(found.changed_at),
        "score": score,
        "word": found.word if word is None else word,
        "scores": [str(one) for one in range(LOWEST, HIGHEST + 1)],
        "longest": LONGEST_WORD,
        "days": CHANGEABLE.days,
        "sentence": "",
    }


def _page(request: HttpRequest, context: dict[str, Any], *, status: int) -> HttpResponse:
    """The page, which tells nobody its address: neither where a link leads to nor a search engine."""
    answer = render(request, "web/survey.html", context, status=status)
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Robots-Tag"] = "noindex, nofollow"
    return answer
