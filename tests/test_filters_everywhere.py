"""One query string means the same accounts in the list, on the board, in both files and by the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.crm.filters import SORTS, AccountFilter
from apps.crm.models import Account, AccountLabel, Alert, Label, SavedView
from apps.crm.pipeline import Stage
from tests.apis import Api
from tests.factories import account, user
from tests.test_exports import table

pytestmark = pytest.mark.django_db

# What each question finds; every parameter that narrows is asked for at least once.
FINDS = {
    "": "Ash Birch Cedar",
    "q=birc": "Birch",
    "stage=new": "Ash",
    "stage=new&stage=initiated": "Ash Birch",
    "owner=me": "Ash",
    "owner=none": "Cedar",
    "owner={other}": "Birch",
    "label=Fast+track": "Birch",
    "plan=yc": "Birch Cedar",
    "renews=0-10": "Birch",
    "renews=none": "Cedar",
    "risk=high": "Ash",
    "risk=none": "Birch Cedar",
    "alert=any": "Ash Cedar",
    "alert=failed-payment": "Cedar",
    "task=today": "Birch",
    "fresh=1": "Ash",
    "write=now": "Ash",
    "plan=yc&alert=any&owner=none": "Cedar",
    "reply=waiting": "Birch",
    "cell=load:accounts:{other}": "Birch",
    "view={view}": "Birch Cedar",
    "view={view}&alert=any": "Cedar",
}
HTML = ("/board/", "/")
FILES = ("/export/daily/", "/export/accounts/")


@pytest.fixture
def api() -> Any:
    now = timezone.now()
    today = now.date()
    me, other = user("lead", looked_at=now - timedelta(days=1)), user()
    ash = account(
        Stage.NEW,
        since=now,
        name="Ash",
        owner=me,
        payment_risk="high",
        next_renewal_on=today + timedelta(days=12),
    )
    birch = account(
        Stage.INITIATED,
        since=now - timedelta(days=9),
        name="Birch",
        owner=other,
        plan="yc",
        next_renewal_on=today + timedelta(days=3),
    )
    cedar = account(
        Stage.ENGAGED_EMAIL, since=now - timedelta(days=9), name="Cedar", plan="yc", next_renewal_on=None
    )
    Account.objects.filter(pk=birch.pk).update(last_reply_at=now)
    AccountLabel.objects.create(account=birch, label=Label.objects.create(name="Fast track"))
    Alert.objects.create(account=ash, kind="missed-outreach", text="…", raised_at=now)
    Alert.objects.create(account=cedar, kind="failed-payment", text="…", raised_at=now)
    birch.add_task("Call", today, by=None, now=now)
    SavedView.keep("Startups", "plan=yc", by=me, now=now)
    Account.objects.all().recount()
    return Api(me)


def answers(api: Any, query: str) -> dict[str, list[str]]:
    """By address: the names of the accounts that it gave for a query string, in its order."""
    browser = Client()
    browser.force_login(api.person)
    found = {"api": [one["name"] for one in api("GET", f"/accounts?{query}").json()["results"]]}
    for path in FILES:
        found[path] = [row["name"] for row in table(browser.get(f"{path}?{query}"))]
    for path in HTML:
        html = browser.get(f"{path}?{query}").text
        found[path] = sorted({"Ash", "Birch", "Cedar"} & _names(html), key=html.index)
    return found


def _names(html: str) -> set[str]:
    return {name for name in ("Ash", "Birch", "Cedar") if f">{name}</a>" in html}


@pytest.mark.parametrize("query", FINDS)
def test_a_question_finds_the_same_accounts_wherever_it_is_asked(api: Any, query: str) -> None:
    other = api.person._meta.model.objects.exclude(pk=api.person.pk).get()
    found = answers(api, query.format(other=other.pk, view=SavedView.objects.get().pk))
    assert {path: sorted(names) for path, names in found.items()} == dict.fromkeys(
        ("api", *FILES, *HTML), FINDS[query].split()
    )


def test_every_parameter_that_narrows_is_among_the_questions() -> None:
    asked = {part.partition("=")[0] for query in FINDS for part in query.split("&") if part}
    # Who was put off stands in the daily list only when asked for, which has tests of its own.
    assert asked | {"snoozed"} == {*AccountFilter.base_filters, "view"}


@pytest.mark.parametrize("sort", [f"{sign}{name}" for name in SORTS for sign in ("", "-")])
def test_an_order_is_the_same_in_the_list_the_files_and_by_the_api(api: Any, sort: str) -> None:
    found = answers(api, f"sort={sort}")
    assert found["api"] == found["/"] == found["/export/daily/"] == found["/export/accounts/"]


def test_the_columns_are_for_files_and_the_list_and_no_filter_of_the_api(api: Any) -> None:
    answer = api("GET", "/accounts?columns=forecast")
    assert (answer.status_code, answer.json()["error"]) == (422, "unknown_fields")
