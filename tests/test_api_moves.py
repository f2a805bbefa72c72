"""The REST API: moves, undone moves and the ledger."""

import pytest
from django.db import transaction
from django.utils import timezone

from apps.crm.models import StageTransition
from apps.crm.options import refusal
from apps.crm.pipeline import Stage
from tests.apis import Api, assert_error
from tests.factories import account, snapshot, user, with_facts
from tests.test_pipeline import FACTS, PERMITTED, expected

S = Stage


def telling_facts(source):
    """Every mix of facts where a move from here hangs on one, else the two ends."""
    hangs = any(" " in who for (start, _), who in PERMITTED.items() if start == source)
    return FACTS if hangs else [FACTS[0], FACTS[-1]]


@pytest.mark.django_db
@pytest.mark.parametrize("source", Stage, ids=lambda stage: stage.number)
def test_every_pair_is_permitted_or_refused_from_the_api_as_the_table_says(source):
    api = Api(user("specialist"))
    for facts in telling_facts(source):
        here = with_facts(source, **facts)
        before = snapshot(here)
        address = f"/accounts/{here.external_id}"
        told = {move["to"]: move["permitted"] for move in api.get(address).json()["moves"]}
        for target in Stage:
            if target == source:
                continue
            with transaction.atomic():
                answer = api.post(f"{address}/move", {"to": target.value or None, "reason": "because"})
                if expected(source, target, facts, automatic=False):
                    assert answer.status_code == 200
                    said = answer.json()
                    assert (said["stage"], said["version"]) == (target.value, before["version"] + 1)
                    row = StageTransition.objects.filter(account=here).latest("version")
                    assert (row.from_stage, row.to_stage, row.cause, row.by) == (
                        source,
                        target,
                        "api",
                        api.person,
                    )
                    assert told[target] is True
                else:
                    assert_error(answer, 409, "refused")
                    assert answer.json()["detail"] == refusal(here, target)
                    assert snapshot(here) == before
                    assert told.get(target, False) is False
                transaction.set_rollback(True)
        assert snapshot(here) == before


def test_a_move_to_where_it_stands_changes_nothing(api):
    here = account(S.NEW)
    before = snapshot(here)
    for version in (None, 1):
        answer = api.post(f"/accounts/{here.external_id}/move", {"to": "new", "version": version})
        assert (answer.status_code, answer.json()["version"]) == (200, 1)
    assert snapshot(here) == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"to": "somewhere"}, 422, "unknown_stage"),
        ({"to": "2. Onboarding Initiated"}, 422, "unknown_stage"),
        ({"to": 5}, 422, "unknown_stage"),
        ({"to": ["initiated"]}, 422, "unknown_stage"),
        ({"to": ""}, 422, "unknown_stage"),
        ({}, 422, "invalid"),
        ({"to": "churned"}, 422, "reason_required"),
        ({"to": "sales_handoff", "reason": "  "}, 422, "reason_required"),
        ({"to": "initiated", "version": 0}, 409, "conflict"),
        ({"to": "new", "version": 0}, 409, "conflict"),
        ({"to": "initiated", "version": -1}, 422, "invalid"),
        ({"to": "initiated", "version": "1"}, 422, "invalid"),
        ({"to": "initiated", "version": True}, 422, "invalid"),
        ({"to": "initiated", "reason": "x" * 2001}, 422, "invalid"),
        ({"to": "initiated", "reason": 5}, 422, "invalid"),
        ({"to": "second_call_completed"}, 409, "refused"),
        ({"to": None}, 409, "refused"),
    ],
)
def test_a_move_that_cannot_be_made_says_why_and_changes_nothing(api, body, status, code):
    here = account(S.NEW)
    before = snapshot(here)
    assert_error(api.post(f"/accounts/{here.external_id}/move", body), status, code)
    assert snapshot(here) == before


def test_a_move_can_be_undone_through_the_api_and_the_undo_cannot(api):
    here = account(S.INITIATED)
    address = f"/accounts/{here.external_id}"
    assert api.post(f"{address}/move", {"to": "engaged_email", "version": 1}).json()["engaged_via"] == "email"
    assert_error(api.post(f"{address}/undo", {"version": 1}), 409, "conflict")
    said = api.post(f"{address}/undo", {"version": 2, "reason": "Wrong account"}).json()
    assert (said["stage"], said["version"], said["engaged_at"]) == ("initiated", 3, None)
    assert here.transitions.latest("version").reason == "Wrong account"
    assert_error(api.post(f"{address}/undo"), 409, "refused", "cannot be undone")


def test_a_colleagues_move_is_not_undone_through_the_api(api):
    here = account(S.NEW)
    here.move(S.INITIATED, by=user(first_name="Ada"), now=timezone.now(), cause="board")
    before = snapshot(here)
    assert_error(api.post(f"/accounts/{here.external_id}/undo"), 409, "refused", "only they can undo it")
    assert snapshot(here) == before


@pytest.mark.parametrize("stage", [S.OUTSIDE, S.INITIATED])
def test_an_account_leaves_a_paid_call_for_where_it_was(api, stage):
    here = account(stage)
    address = f"/accounts/{here.external_id}"
    before = snapshot(here)
    assert_error(api.post(f"{address}/leave-paid-call"), 409, "refused", "no paid call to leave")
    assert snapshot(here) == before
    api.post(f"{address}/move", {"to": "paid_call_purchased"})
    said = api.post(f"{address}/leave-paid-call", {"reason": "Refunded"}).json()
    assert (said["stage"], said["version"]) == (stage.value or None, here.version + 2)


def test_the_ledger_is_listed_newest_first(api):
    here = account()
    now = timezone.now()
    for target, reason in [(S.NEW, ""), (S.CHURNED, "They left"), (S.NEW, "They are back")]:
        here.move(target, by=api.person, now=now, cause="board", reason=reason)
    said = api.get(f"/accounts/{here.external_id}/transitions", limit=2).json()
    assert [(row["from"], row["to"], row["version"], row["reason"]) for row in said["results"]] == [
        ("churned", "new", 3, "They are back"),
        ("new", "churned", 2, "They left"),
    ]
    assert set(said["results"][0]) == {"from", "to", "at", "by", "cause", "reason", "version"}
    assert (said["results"][0]["by"], said["results"][0]["cause"]) == (api.person.username, "board")
    rest = api.get(f"/accounts/{here.external_id}/transitions", cursor=said["next"]).json()
    assert [(row["from"], row["to"]) for row in rest["results"]] == [(None, "new")]
    assert rest["next"] is None
