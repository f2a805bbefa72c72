"""What each thing told does at each stage: one table over all of them, and what it must leave alone."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from apps.crm.models import Account, Call, Contact
from apps.crm.models.transition import StageTransition
from apps.crm.pipeline import Stage
from apps.intake import drain
from apps.intake.models import Event
from tests.factories import NOW, account, call, user

pytestmark = pytest.mark.django_db
_serial = count(1)

S = Stage
OPEN_FOR_SALES = (
    *(S.NEW, S.INITIATED, S.ENGAGED_EMAIL, S.CALL_BOOKED, S.INTRO_CALL_COMPLETED, S.SECOND_CALL_COMPLETED),
    *(S.HOMEWORK_OFFERED, S.AWAITING_FINAL_OUTREACH, S.ONBOARDED_NO_ENGAGEMENT, S.ONBOARDED_ENGAGED),
    S.PAID_CALL,
)
LATE_BUT_ENGAGED = {S.ONBOARDED_NO_ENGAGEMENT: S.ONBOARDED_ENGAGED}
BOOKED = dict.fromkeys((S.NEW, S.INITIATED, S.ENGAGED_EMAIL), S.CALL_BOOKED) | LATE_BUT_ENGAGED
# The team's table, written out once more by hand: what is told → where it leads from which stage. From any other
# stage it moves nothing. The second word says how the customer engaged by it.
EFFECTS: dict[str, tuple[dict[Stage, Stage], str]] = {
    "conversation.outbound": ({S.NEW: S.INITIATED}, ""),
    "conversation.inbound": ({S.INITIATED: S.ENGAGED_EMAIL} | LATE_BUT_ENGAGED, "email"),
    "call.booked": (BOOKED, "call"),
    "call.canceled": ({}, ""),
    "call.no_show": ({}, ""),
    "call.held intro": ({S.CALL_BOOKED: S.INTRO_CALL_COMPLETED}, "call"),
    "call.held second": ({S.INTRO_CALL_COMPLETED: S.SECOND_CALL_COMPLETED}, "call"),
    "call.held consultation": ({}, "call"),
    "call.held ": ({}, "call"),
    "purchase.paid_call": ({stage: S.PAID_CALL for stage in S if stage != S.PAID_CALL}, "purchase"),
    "sales.referred": (dict.fromkeys(OPEN_FOR_SALES, S.SALES_HANDOFF), ""),
    "sales.disqualified": ({}, ""),
    "subscription.canceled": ({}, ""),
    "invoice.payment_failed": ({}, ""),
    "invoice.paid": ({}, ""),
    "orders/paid": ({stage: S.PAID_CALL for stage in S if stage != S.PAID_CALL}, "purchase"),
}


def told(provider: str, type: str, body: dict[str, Any]) -> Event:
    """An event, applied alone: no playbook runs after it."""
    event = Event.objects.create(
        provider=provider,
        external_id=f"event-{next(_serial)}",
        type=type,
        body=json.dumps(body).encode(),
        received_at=NOW,
        due_at=NOW,
    )
    assert event.claim(now=NOW)
    drain.apply(event, now=NOW)
    event.refresh_from_db()
    return event


def ingest(type: str, **data: Any) -> Event:
    return told("ingest", type, {"type": type, "data": data})


def order(topic: str, **more: Any) -> Event:
    lines = [{"sku": "CONSULT", "quantity": 1}]
    body = {"id": 4711, "email": "ann@acme.example", "created_at": NOW.isoformat(), "line_items": lines}
    return told("shopify", topic, {**body, "total_price": "500.00", "currency": "USD", **more})


def refund(sku: str = "CONSULT") -> Event:
    lines = [{"line_item": {"sku": sku}}]
    body = {"id": 9, "order_id": 4711, "created_at": NOW.isoformat(), "refund_line_items": lines}
    return told("shopify", "refunds/create", body)


def invoice(type: str, status: str, attempts: int) -> Event:
    created = int(NOW.timestamp()) - 60
    found = {"id": "in_1", "customer": "cus_1", "currency": "usd", "total": 9900, "status": status}
    found |= {"attempt_count": attempts, "period_start": created, "period_end": created + 86_400}
    body = {"id": "evt_1", "type": type, "created": created, "data": {"object": found}}
    return told("stripe", type, body)


def customer(stage: Stage, **more: Any) -> Account:
    made = account(stage, since=NOW - timedelta(days=1), stripe_customer_id="cus_1", **more)
    # Only what an event brings is looked at.
    Account.objects.filter(pk=made.pk).update(engaged_at=None, engaged_via="")
    Contact.objects.create(account=made, email="ann@acme.example")
    return made


@pytest.fixture(autouse=True)
def _consultation(settings: Any) -> None:
    settings.SHOPIFY_CONSULTATION_SKUS = ["CONSULT"]


def tell(what: str, about: Account, at: Any = NOW) -> Event:
    type, _, kind = what.partition(" ")
    written = {"at": at.isoformat()}
    if type in ("call.held", "call.canceled", "call.no_show"):
        made = call(about, kind)
        return ingest(type, call_id=made.external_id, **written)
    if type == "conversation.outbound":
        return ingest(type, **{"from": user().email, "to": ["ann@acme.example"], **written})
    if type == "conversation.inbound":
        return ingest(type, **{"from": "ann@acme.example", "to": ["team@onramp.example"], **written})
    if type.startswith("invoice."):
        return invoice(type, "paid" if type == "invoice.paid" else "open", 1)
    if type == "orders/paid":
        return order(type)
    if type == "call.booked":
        ends = (NOW + timedelta(days=2, minutes=30)).isoformat()
        starts = (NOW + timedelta(days=2)).isoformat()
        return ingest(
            type, email="ann@acme.example", call_id="c-1", starts_at=starts, ends_at=ends, kind="intro"
        )
    if type == "purchase.paid_call":
        return ingest(
            type, email="ann@acme.example", order_id="o-1", amount="500.00", currency="USD", **written
        )
    return ingest(type, account=about.external_id, **written)


@pytest.mark.parametrize("stage", S)
@pytest.mark.parametrize("what", EFFECTS)
def test_what_is_told_moves_whom_it_should_and_nobody_else(what: str, stage: Stage) -> None:
    leads, engaged = EFFECTS[what]
    made = customer(stage)
    before = made.version
    event = tell(what, made)
    made.refresh_from_db()
    assert (event.state, event.account, event.sentence != "") == ("done", made, True)
    assert (Stage(made.stage), made.engaged_via) == (leads.get(stage, stage), engaged)
    moves = StageTransition.objects.filter(account=made, version__gt=before)
    assert [row.cause for row in moves] == [f"event:{event.pk}"] * (stage in leads)


@pytest.mark.parametrize("what", ["conversation.inbound", "call.booked"])
@pytest.mark.parametrize(("days", "to"), [(14, S.ONBOARDED_ENGAGED), (15, S.ONBOARDED_NO_ENGAGEMENT)])
def test_a_late_answer_counts_for_fourteen_days(what: str, days: int, to: Stage) -> None:
    made = account(S.ONBOARDED_NO_ENGAGEMENT, since=NOW - timedelta(days=days))
    Contact.objects.create(account=made, email="ann@acme.example")
    assert tell(what, made).state == "done"
    made.refresh_from_db()
    assert made.stage == to


@pytest.mark.parametrize(
    ("what", "stage", "title"),
    [
        ("call.canceled", S.CALL_BOOKED, "Rebook"),
        ("call.booked", S.AWAITING_FINAL_OUTREACH, "They booked a call"),
        ("call.held ", S.CALL_BOOKED, "Say which call was held"),
    ],
)
def test_what_a_person_must_decide_is_a_task_once(what: str, stage: Stage, title: str) -> None:
    owner = user()
    made = customer(stage, owner=owner)
    for _ in range(2):
        tell(what, made) if what == "call.booked" else None
    if what != "call.booked":
        known = call(made, what.partition(" ")[2])
        for _ in range(2):
            ingest(what.partition(" ")[0], call_id=known.external_id, at=NOW.isoformat())
    task = made.tasks.get()
    assert (task.title.startswith(title), task.assignee) == (True, owner)


# The shop


@pytest.mark.parametrize("stage", [stage for stage in S if stage != S.PAID_CALL])
@pytest.mark.parametrize("back", ["orders/cancelled", "refunds/create"])
def test_an_order_given_back_leads_back_to_where_the_account_stood(back: str, stage: Stage) -> None:
    made = customer(stage)
    order("orders/paid")
    event = order(back, cancelled_at=NOW.isoformat()) if back == "orders/cancelled" else refund()
    made.refresh_from_db()
    assert (event.state, Stage(made.stage)) == ("done", stage)
    assert made.purchases.get().refunded_at == NOW


def test_a_refund_after_the_consultation_was_held_is_kept_and_moves_nothing() -> None:
    made = customer(S.ENGAGED_EMAIL)
    order("orders/paid")
    call(made, "consultation", status=Call.Status.HELD)
    event = refund()
    made.refresh_from_db()
    assert (event.state, made.stage, made.purchases.get().refunded_at) == ("done", S.PAID_CALL, NOW)
    assert "The paid call has been held" in event.sentence


def test_one_of_two_orders_given_back_leaves_the_other_standing() -> None:
    made = customer(S.ENGAGED_EMAIL)
    order("orders/paid")
    order("orders/paid", id=4712)
    assert "another purchase stands" in refund().sentence
    made.refresh_from_db()
    assert made.stage == S.PAID_CALL


def test_a_cancellation_and_a_refund_of_one_order_lead_back_once() -> None:
    made = customer(S.ENGAGED_EMAIL)
    order("orders/paid")
    order("orders/cancelled", cancelled_at=NOW.isoformat())
    assert refund().sentence == "The refund was known."
    made.refresh_from_db()
    assert (made.stage, made.version) == (S.ENGAGED_EMAIL, 3)


def test_a_refund_of_something_else_and_an_order_of_something_else_are_passed_over() -> None:
    made = customer(S.ENGAGED_EMAIL)
    order("orders/paid")
    events = [refund("MUG"), order("orders/paid", id=5, line_items=[{"sku": "MUG"}])]
    made.refresh_from_db()
    assert [event.state for event in events] == ["ignored", "ignored"]
    assert (made.stage, made.purchases.get().refunded_at) == (S.PAID_CALL, None)


def test_a_refund_that_comes_before_its_order_waits_for_it() -> None:
    made = customer(S.ENGAGED_EMAIL)
    early = refund()
    assert (early.state, early.subject) == ("unmatched", "order:shopify:4711")
    order("orders/paid")
    drain.apply_due(now=NOW)
    early.refresh_from_db()
    made.refresh_from_db()
    assert (early.state, made.stage, made.purchases.get().refunded_at) == ("done", S.ENGAGED_EMAIL, NOW)
