"""The REST API: accounts as they are shown, listed and reported."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.crm.models import Account, Contact, Label
from apps.crm.options import refusal
from apps.crm.pipeline import STAGES, Stage
from tests.apis import assert_error
from tests.factories import NOW, account, in_days, user

S = Stage


# Accounts


def test_an_account_is_shown_with_its_facts_and_its_moves(api):
    owner = user("specialist", username="ada")
    here = account(
        S.AWAITING_FINAL_OUTREACH,
        external_id="a/b 1",
        name="Acme",
        plan="yc",
        mrr="12.50",
        owner=owner,
        sales_contact_kind="AE",
        sales_contact_name="Sue",
    )
    here.contacts.create(email="eve@acme.example", name="Eve")
    here.labels.add(Label.objects.create(name="hype"))
    said = api.get("/accounts/a%2Fb%201").json()
    facts = {
        "external_id": "a/b 1",
        "name": "Acme",
        "plan": "yc",
        "mrr": "12.50",
        "forecast": None,
        "owner": "ada",
        "sales_contact": {"kind": "AE", "name": "Sue", "email": ""},
        "contacts": [{"email": "eve@acme.example", "name": "Eve", "role": "", "do_not_contact": False}],
        "labels": ["hype"],
        "engaged_at": None,
        "engaged_via": None,
        "next_renewal_on": in_days(30).isoformat(),
        "stage": "awaiting_final_outreach",
        "stage_since": "2026-11-21T09:00:00Z",
        "version": 1,
    }
    assert {name: said[name] for name in facts} == facts
    moves = {move["to"]: move for move in said["moves"]}
    assert set(moves) == {stage.value for stage in STAGES} - {"awaiting_final_outreach"}
    assert moves["churned"] == {"to": "churned", "permitted": True, "refusal": None, "needs": "reason"}
    assert moves["onboarded_no_engagement"] == {
        "to": "onboarded_no_engagement",
        "permitted": True,
        "refusal": None,
        "needs": None,
    }
    assert moves["initiated"]["permitted"] is False
    assert moves["initiated"]["refusal"] == refusal(here, S.INITIATED)


def test_an_account_outside_the_pipeline_has_no_stage_and_thirteen_moves(api):
    said = api.get(f"/accounts/{account().external_id}").json()
    assert (said["stage"], said["stage_since"], said["version"]) == (None, None, 0)
    assert [move["to"] for move in said["moves"] if move["permitted"]] == ["new", "paid_call_purchased"]
    assert len(said["moves"]) == 13


def test_the_list_is_paged_by_cursor_and_each_account_comes_once(api):
    made = [account(S.NEW).external_id for _ in range(7)]
    seen, cursor, sizes = [], None, []
    while True:
        said = api.get("/accounts", limit=3, **({"cursor": cursor} if cursor else {})).json()
        seen += [one["external_id"] for one in said["results"]]
        sizes.append(len(said["results"]))
        if (cursor := said["next"]) is None:
            break
    assert (seen, sizes) == (made, [3, 3, 1])


def test_a_list_holds_fifty_unless_asked_otherwise(api):
    for _ in range(51):
        account()
    said = api.get("/accounts").json()
    assert (len(said["results"]), bool(said["next"])) == (50, True)
    assert len(api.get("/accounts", limit=200).json()["results"]) == 51


def test_the_list_is_narrowed_and_sorted_as_the_pages_are(api):
    # Days from today are counted from the day that it really is.
    soon, later = (timezone.now().date() + timedelta(days=number) for number in (3, 30))
    mine = account(S.NEW, name="Blue Whale", owner=api.person, mrr=5, next_renewal_on=later)
    other = account(S.INITIATED, name="Blue Heron", owner=user(username="ada"), mrr=9, next_renewal_on=later)
    none = account(S.CHURNED, name="Red Fox", next_renewal_on=soon)
    outside = account(name="Grey Goose", mrr=7, next_renewal_on=later)
    ids = {one.external_id: one.name.split()[1] for one in (mine, other, none, outside)}

    def found(query):
        return " ".join(ids[one["external_id"]] for one in api("GET", f"/accounts?{query}").json()["results"])

    assert found("stage=new&stage=churned") == "Whale Fox"
    assert found("stage=outside") == "Goose"
    assert found("owner=me") == "Whale"
    assert found(f"owner={other.owner_id}") == "Heron"
    assert found("owner=none") == "Fox Goose"
    assert found("q=blue") == "Whale Heron"
    assert found("q=blue&stage=new") == "Whale"
    assert found("renews=0-10") == "Fox"
    assert found("q=&owner=&renews=&sort=&cursor=") == "Whale Heron Fox Goose"
    assert found("sort=mrr") == "Whale Goose Heron Fox"
    assert found("sort=-mrr&limit=2") == "Heron Goose"


def test_a_cursor_holds_for_the_order_it_was_given_out_for(api):
    for number in range(3):
        account(mrr=number)
    cursor = api.get("/accounts", sort="-mrr", limit=2).json()["next"]
    assert len(api.get("/accounts", sort="-mrr", limit=2, cursor=cursor).json()["results"]) == 1
    assert_error(api.get("/accounts", limit=2, cursor=cursor), 422, "invalid", "cursor")


@pytest.mark.parametrize("rows", [5, 50])
def test_the_number_of_queries_does_not_grow_with_the_accounts(api, rows):
    for number in range(rows):
        here = account(S.NEW, owner=user())
        here.contacts.create(email=f"{number}@acme.example")
        here.labels.add(Label.objects.create(name=str(number)))
        here.add_note("Hello", by=user(), now=NOW)
        here.add_task("Call", in_days(1), by=user(), now=NOW, assignee=user())
        here.alerts.create(kind="missed-outreach", text="Late", raised_at=NOW, assignee=user())
    api.get("/accounts")
    with CaptureQueriesContext(connection) as queries:
        said = api.get("/accounts").json()
    assert len(said["results"]) == rows
    assert len(queries) == 6  # token, roles, policy, accounts, contacts, labels
    with CaptureQueriesContext(connection) as queries:
        assert len(api.get("/alerts").json()["results"]) == rows
    assert len(queries) == 3


# Reports


def test_a_report_creates_updates_and_leaves_alone(api):
    old, same = account(S.NEW, name="Old", mrr="1.00"), account(S.NEW, name="Same")
    report = {
        "accounts": [
            {
                "external_id": "fresh",
                "name": "Fresh",
                "contacts": [{"email": "Eve@Fresh.example"}],
                "labels": ["hype"],
            },
            {"external_id": old.external_id, "mrr": "20.50"},
            {"external_id": same.external_id, "name": "Same"},
        ]
    }
    answer = api.put("/accounts", report)
    assert (answer.status_code, answer.json()) == (200, {"created": 1, "updated": 1, "unchanged": 1})
    fresh = Account.objects.get(external_id="fresh")
    assert (fresh.name, fresh.stage, fresh.version) == ("Fresh", "", 0)
    assert list(fresh.contacts.values_list("email", flat=True)) == ["eve@fresh.example"]
    old.refresh_from_db()
    assert (old.name, str(old.mrr), old.stage, old.version) == ("Old", "20.50", S.NEW, 1)
    assert api.put("/accounts", report).json() == {"created": 0, "updated": 0, "unchanged": 3}


GOOD = {"external_id": "good", "name": "Good"}


@pytest.mark.parametrize(
    ("accounts", "code", "words"),
    [
        ([GOOD, {"external_id": "x", "name": "X", "stage": "new"}], "unknown_fields", "stage"),
        ([GOOD, {"external_id": "x", "name": "X", "version": 3}], "unknown_fields", "version"),
        ([GOOD, {"external_id": "x"}], "invalid", "accounts[1].name is missing"),
        ([GOOD, {"name": "X"}], "invalid", "accounts[1].external_id is missing"),
        ([GOOD, {"external_id": "x", "name": "X", "mrr": "1,234.50"}], "invalid", "accounts[1].mrr"),
        ([GOOD, {"external_id": "x", "name": "X", "mrr": 12.5}], "invalid", "accounts[1].mrr"),
        (
            [GOOD, {"external_id": "x", "name": "X", "next_renewal_on": "2026-02-30"}],
            "invalid",
            "next_renewal_on",
        ),
        ([GOOD, {"external_id": "x", "name": "X", "users_count": -1}], "invalid", "users_count"),
        ([GOOD, {"external_id": "x", "name": "X", "contacts": [{"email": "no"}]}], "invalid", "contacts"),
        ([GOOD, {"external_id": "x", "name": "X", "contacts": "eve@acme.example"}], "invalid", "contacts"),
        ([GOOD, GOOD], "invalid", "twice"),
        ([GOOD, "good"], "invalid", "accounts[1] is not an object"),
        ([GOOD, None], "invalid", "accounts[1]"),
        ([], "invalid", "accounts"),
        ({}, "invalid", "accounts"),
        ([{"external_id": f"x{number}", "name": "X"} for number in range(1001)], "invalid", "1000"),
        (
            [*({"external_id": f"x{n}", "name": "X"} for n in range(99)), {"external_id": "y", "mrr": "x"}],
            "invalid",
            "99",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_one_bad_account_of_a_report_and_nothing_is_written(api, accounts, code, words):
    assert_error(api.put("/accounts", {"accounts": accounts}), 422, code, words)
    assert not Account.objects.exists()
    assert not Contact.objects.exists()


def test_a_thousand_accounts_go_in_at_once(api):
    accounts = [{"external_id": f"x{number}", "name": f"Account {number}"} for number in range(1000)]
    assert api.put("/accounts", {"accounts": accounts}).json() == {
        "created": 1000,
        "updated": 0,
        "unchanged": 0,
    }
