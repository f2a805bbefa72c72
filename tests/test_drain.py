"""What follows from what other systems tell: each fact once, in any order, and nothing guessed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import count, permutations
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.models import Account, Bill, Call, Contact, Purchase, Signal
from apps.crm.pipeline import Stage
from apps.intake import drain, facts
from apps.intake.doors import calendly, stripe
from apps.intake.events import TRIES
from apps.intake.linking import link
from apps.intake.matching import NotFound, accounts_of
from apps.intake.models import Event
from tests.factories import NOW, account, user

pytestmark = pytest.mark.django_db
_serial = count(1)
CREATED = int(NOW.timestamp()) - 86_400


def told(provider: str, type: str, body: dict[str, Any]) -> Event:
    """An event kept as a door keeps it; applied with ``drained``."""
    return Event.objects.create(
        provider=provider,
        external_id=f"event-{next(_serial)}",
        type=type,
        body=json.dumps(body).encode(),
        received_at=NOW,
        due_at=NOW,
    )


def drained(*events: Event) -> list[Event]:
    drain.apply_due(now=NOW)
    for event in events:
        event.refresh_from_db()
    return list(events)


def ingest(type: str, **data: Any) -> Event:
    return told("ingest", type, {"type": type, "data": data})


def one(event: Event) -> Event:
    return drained(event)[0]


def customer(stage: Stage = Stage.OUTSIDE, **more: Any) -> Account:
    made = account(stage, **more)
    Contact.objects.create(account=made, email=f"ann@{made.external_id}.example")
    return made


def address(of: Account) -> str:
    return str(of.contacts.get().email)


def stage(of: Account) -> Stage:
    of.refresh_from_db()
    return Stage(of.stage)


def invoice(type: str, at: int = 0, **more: Any) -> dict[str, Any]:
    period = {"start": CREATED, "end": CREATED + 2_592_000}
    found = {
        "id": "in_1",
        "customer": "cus_1",
        "currency": "usd",
        "total": 12_345,
        "status": "open",
        "attempt_count": 0,
        "lines": {"data": [{"period": period}]},
        "parent": {"subscription_details": {"subscription": "sub_1"}},
        **more,
    }
    return {"id": f"evt_{type}_{at}", "type": type, "created": CREATED + at, "data": {"object": found}}


LIFE = (
    invoice("invoice.upcoming", 0, id=None, status="draft"),
    invoice("invoice.created", 1, status="draft"),
    invoice("invoice.finalized", 2),
    invoice("invoice.payment_failed", 3, attempt_count=1),
    invoice("invoice.paid", 4, status="paid", attempt_count=2),
    invoice("invoice.voided", 5, status="void"),
)


def test_a_bill_ends_the_same_in_whatever_order_its_events_come() -> None:
    orders = list(permutations(LIFE))
    accounts = [account() for _ in orders]
    for step in range(len(LIFE)):
        reports = []
        for number, (order, of) in enumerate(zip(orders, accounts, strict=True)):
            (fact,) = stripe.read(order[step]["type"], order[step], NOW)
            assert isinstance(fact, facts.BillTold)
            reports.append(
                replace(fact.told, account_id=of.pk, external_id=f"{fact.told.external_id}:{number}")
            )
        Bill.objects.report(reports)
    ends = Bill.objects.values_list("status", "amount", "attempts", "period_start")
    assert (len(orders), ends.count(), len(set(ends)), ends[0][0]) == (720, 720, 1, "paid")


def test_something_old_does_not_come_through_behind_news_that_said_nothing_new() -> None:
    account(stripe_customer_id="cus_1")
    for type, at, status in (("finalized", 1, "open"), ("updated", 9, "open"), ("created", 5, "draft")):
        one(told("stripe", f"invoice.{type}", invoice(f"invoice.{type}", at, status=status)))
    assert Bill.objects.get().status == "open"


def test_the_shape_of_an_invoice_before_2025_03_31_reads_the_same() -> None:
    new = invoice("invoice.finalized", 2)
    old = invoice("invoice.finalized", 2, subscription="sub_1")
    del old["data"]["object"]["parent"]
    assert stripe.read("invoice.finalized", new, NOW) == stripe.read("invoice.finalized", old, NOW)


def test_a_failed_payment_raises_its_alert_and_the_payment_closes_it() -> None:
    made = account(Stage.INITIATED, stripe_customer_id="cus_1")
    one(told("stripe", "invoice.payment_failed", invoice("invoice.payment_failed", 3, attempt_count=1)))
    assert list(made.alerts.values_list("kind", "resolved_at")) == [("failed-payment", None)]
    one(told("stripe", "invoice.paid", invoice("invoice.paid", 4, status="paid", attempt_count=2)))
    assert made.alerts.filter(resolved_at__isnull=False).count() == 1


def test_a_late_payment_failed_of_a_paid_bill_raises_no_alert() -> None:
    made = account(Stage.INITIATED, stripe_customer_id="cus_1")
    drained(
        told("stripe", "invoice.paid", invoice("invoice.paid", 4, status="paid")),
        told("stripe", "invoice.payment_failed", invoice("invoice.payment_failed", 3, attempt_count=1)),
    )
    assert (Bill.objects.get().status, made.alerts.count()) == ("paid", 0)


def invitee(event: str, of: Account, uri: str, at: int, **more: Any) -> dict[str, Any]:
    begins = NOW + timedelta(days=3)
    scheduled = {"start_time": begins.isoformat(), "end_time": (begins + timedelta(hours=1)).isoformat()}
    payload = {
        "uri": f"{uri}:{of.pk}",
        "email": address(of),
        "scheduled_event": {**scheduled, "event_type": "types/intro"},
        **more,
    }
    created = (NOW + timedelta(minutes=at)).isoformat()
    return {"event": event, "created_at": created, "payload": payload}


def test_a_call_ends_the_same_in_whatever_order_its_events_come(settings: Any) -> None:
    settings.CALENDLY_EVENT_TYPES = {"types/intro": "intro"}
    life: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
        ("invitee.created", "one", 0, {}),
        ("invitee.canceled", "one", 1, {"rescheduled": True}),
        ("invitee.created", "two", 1, {"old_invitee": "one"}),
        ("invitee_no_show.created", "two", 2, {}),
        ("invitee_no_show.deleted", "two", 3, {}),
    )
    orders = list(permutations(life))
    accounts = [customer(Stage.INITIATED) for _ in orders]
    for order, of in zip(orders, accounts, strict=True):
        for event, uri, at, more in order:
            event_told = told("calendly", event, invitee(event, of, uri, at, **more))
            assert event_told.claim(now=NOW)
            drain.apply(event_told, now=NOW)
    assert not Event.objects.exclude(state="done").exists()
    ends = set()
    for of in accounts:
        calls = of.calls.order_by("external_id").values_list("status", "kind")
        ends.add((stage(of), of.engaged_via, tuple(calls), of.tasks.count()))
    assert ends == {(Stage.CALL_BOOKED, "call", (("canceled", "intro"), ("booked", "intro")), 0)}


def no_show(of: Account, type: str, at: int, uri: str | None) -> dict[str, Any]:
    marked = {"uri": uri, "created_at": NOW.isoformat()} if uri else None
    return invitee(f"invitee_no_show.{type}", of, "inv", at, no_show=marked)


def test_a_no_show_taken_back_and_marked_again_is_another_event() -> None:
    made = customer(Stage.CALL_BOOKED)
    told("calendly", "invitee.created", invitee("invitee.created", made, "inv", 0))
    life = [
        no_show(made, "created", 1, "no_shows/1"),
        no_show(made, "deleted", 2, None),
        no_show(made, "created", 3, "no_shows/2"),
        no_show(made, "deleted", 4, None),
        no_show(made, "created", 5, "no_shows/3"),
    ]
    names = [calendly.identify({}, body)[0] for body in life]
    assert (len(set(names)), names) == (5, [calendly.identify({}, body)[0] for body in life])
    for body in reversed(life):
        told("calendly", body["event"], body)
    drain.apply_due(now=NOW)
    assert made.calls.get().status == "no_show"


def test_calendly_knows_an_event_by_invitee_type_and_reschedule() -> None:
    body = {"event": "invitee.canceled", "payload": {"uri": "u", "rescheduled": True}}
    assert calendly.identify({}, body) == ("u:invitee.canceled:rescheduled", "invitee.canceled")


@pytest.mark.parametrize(
    ("start", "end", "tasks"),
    [
        (Stage.OUTSIDE, Stage.OUTSIDE, 0),
        (Stage.NEW, Stage.CALL_BOOKED, 0),
        (Stage.INITIATED, Stage.CALL_BOOKED, 0),
        (Stage.ENGAGED_EMAIL, Stage.CALL_BOOKED, 0),
        (Stage.INTRO_CALL_COMPLETED, Stage.INTRO_CALL_COMPLETED, 0),
        (Stage.AWAITING_FINAL_OUTREACH, Stage.AWAITING_FINAL_OUTREACH, 1),
        (Stage.ONBOARDED_NO_ENGAGEMENT, Stage.ONBOARDED_ENGAGED, 0),
        (Stage.CHURNED, Stage.CHURNED, 0),
        (Stage.PAID_CALL, Stage.PAID_CALL, 0),
    ],
)
def test_a_booked_call_moves_whom_it_may(start: Stage, end: Stage, tasks: int) -> None:
    made = customer(start)
    event = one(booked(made))
    assert (event.state, stage(made), made.tasks.count(), made.engaged_at is None) == (
        "done",
        end,
        tasks,
        False,
    )


def booked(of: Account, kind: str = "intro") -> Event:
    return ingest(
        "call.booked",
        email=address(of),
        call_id=f"call-{of.pk}",
        starts_at="2026-11-25T10:00:00Z",
        ends_at="2026-11-25T11:00:00Z",
        kind=kind,
    )


@pytest.mark.parametrize("late", [False, True])
def test_a_held_intro_call_leads_to_4a_also_when_the_booking_comes_late(late: bool) -> None:
    made = customer(Stage.INITIATED)
    events = [booked(made), ingest("call.held", call_id=f"call-{made.pk}", at="2026-11-25T11:00:00Z")]
    if late:
        events[0].due_at, events[1].due_at = NOW, NOW - timedelta(seconds=1)
        events[0].save()
        events[1].save()
    assert [event.state for event in drained(*events)] == ["done", "done"]
    assert (stage(made), Call.objects.get().status) == (Stage.INTRO_CALL_COMPLETED, "held")


def test_a_cancelled_call_makes_one_task_and_no_move() -> None:
    made = customer(Stage.CALL_BOOKED)
    drained(booked(made), *(ingest("call.canceled", call_id=f"call-{made.pk}") for _ in range(2)))
    assert (stage(made), made.tasks.count(), Call.objects.get().status) == (Stage.CALL_BOOKED, 1, "canceled")


def wrote(of: Account, sender: str, **more: Any) -> Event:
    return ingest(
        "conversation.outbound", **{"from": sender, "to": [address(of)], "at": "2026-11-20T10:00:00Z", **more}
    )


def answered(of: Account, **more: Any) -> Event:
    return ingest(
        "conversation.inbound",
        **{"from": address(of), "to": ["team@onramp.example"], "at": "2026-11-20T12:00:00Z", **more},
    )


@pytest.mark.parametrize("late", [False, True])
def test_outreach_and_reply_lead_to_3a_in_either_order(late: bool) -> None:
    made = customer(Stage.NEW)
    sender = user("specialist").email
    if late:
        one(answered(made))
        one(wrote(made, sender))
    else:
        one(wrote(made, sender))
        one(answered(made))
    assert (stage(made), made.engaged_via) == (Stage.ENGAGED_EMAIL, "email")
    times = [made.last_outreach_at, made.last_reply_at]
    assert [time.hour for time in times if time] == [10, 12]


def test_mail_of_no_specialist_is_no_outreach() -> None:
    made = customer(Stage.NEW)
    assert (one(wrote(made, user("lead").email)).state, stage(made)) == ("ignored", Stage.NEW)


def test_outreach_counts_for_the_account_of_every_recipient() -> None:
    first, second, third = customer(Stage.NEW), account(Stage.NEW, domain="two.example"), customer(Stage.NEW)
    sender, colleague = user("specialist").email, user("lead").email
    account(Stage.NEW, domain="onramp.example")
    to = [colleague, address(first), "a@two.example", "b@two.example", "who@nowhere.example"]
    event = one(wrote(first, sender, to=to))
    assert (event.state, event.account) == ("done", first)
    assert [stage(of) for of in (first, second, third)] == [Stage.INITIATED, Stage.INITIATED, Stage.NEW]
    assert [of.version for of in (first, second)] == [2, 2]
    assert Account.objects.exclude(last_outreach_at=None).count() == 2


def test_outreach_asks_as_much_for_one_recipient_as_for_a_hundred(
    django_assert_num_queries: Any,
) -> None:
    customer(Stage.NEW)
    for recipients in (1, 100):
        with django_assert_num_queries(2), pytest.raises(NotFound):
            accounts_of([f"person{number}@else.example" for number in range(recipients)])


@pytest.mark.parametrize(
    "machine",
    [
        {"auto_submitted": "auto-replied"},
        {"subject": "Automatic reply: Hello"},
        {"subject": "Accepted: Intro call"},
        {"from": "mailer-daemon@acc.example"},
    ],
)
def test_what_a_machine_answers_is_no_reply(machine: dict[str, str]) -> None:
    made = customer(Stage.INITIATED)
    event = one(answered(made, **machine))
    assert (event.state, stage(made), made.last_reply_at, made.engaged_at) == (
        "ignored",
        Stage.INITIATED,
        None,
        None,
    )


def bought(email: str, order: str = "order-1") -> Event:
    return ingest(
        "purchase.paid_call",
        email=email,
        order_id=order,
        at="2026-11-20T10:00:00Z",
        amount="500.00",
        currency="USD",
    )


@pytest.mark.parametrize("late", [False, True])
def test_a_refund_leads_back_also_when_it_is_heard_of_first(late: bool) -> None:
    made = customer(Stage.ENGAGED_EMAIL)
    steps = [lambda: bought(address(made)), lambda: ingest("purchase.refunded", order_id="order-1")]
    for step in reversed(steps) if late else steps:
        one(step())
    assert set(Event.objects.values_list("state", flat=True)) == {"done"}
    assert (stage(made), made.version) == (Stage.ENGAGED_EMAIL, 3)
    assert Purchase.objects.get().refunded_at is not None


def test_a_purchase_moves_once_however_often_it_is_told() -> None:
    made = customer()
    drained(*(bought(address(made)) for _ in range(3)))
    assert (stage(made), made.version, Purchase.objects.count()) == (Stage.PAID_CALL, 1, 1)


def test_sales_and_subscriptions_are_heard() -> None:
    made = customer(Stage.INITIATED)
    named = {"account": made.external_id, "at": "2026-11-20T10:00:00Z", "by": "Kim"}
    drained(
        *(ingest(type, **named) for type in ("sales.referred", "sales.disqualified", "subscription.canceled"))
    )
    assert stage(made) == Stage.SALES_HANDOFF
    assert set(Signal.objects.values_list("kind", flat=True)) == set(Signal.Kind.values)


def test_a_refused_move_is_no_failure_and_its_sentence_is_kept() -> None:
    made = customer(Stage.CHURNED)
    event = one(ingest("sales.referred", account=made.external_id, at="2026-11-20T10:00:00Z"))
    assert (event.state, stage(made), made.version) == ("done", Stage.CHURNED, 1)
    assert "is reached from" in event.sentence


def test_nobody_and_two_wait_for_a_person_and_a_mailbox_matches_nobody() -> None:
    account(domain="gmail.com")
    account(domain="one.example")
    for _ in range(2):
        account(domain="two.example")
    found = drained(
        *(bought(f"x@{domain}", domain) for domain in ("gmail.com", "one.example", "two.example"))
    )
    assert [event.state for event in found] == ["unmatched", "done", "ambiguous"]
    assert Purchase.objects.count() == 1


def test_an_account_that_becomes_known_gets_what_waited_for_it() -> None:
    event = one(bought("ann@new.example"))
    assert event.state == "unmatched"
    one(ingest("account.upserted", external_id="new", name="New", contacts=[{"email": "ann@new.example"}]))
    event.refresh_from_db()
    assert (event.state, event.account) == ("done", Account.objects.get(external_id="new"))


@pytest.mark.parametrize(
    ("type", "data", "state"),
    [
        ("nobody.knows", {}, "ignored"),
        ("sales.referred", {}, "failed"),
        ("sales.referred", {"account": "gone", "at": "2026-11-20T10:00:00Z"}, "unmatched"),
        ("sales.referred", {"account": "gone", "at": "0001-01-01T00:00:00Z"}, "failed"),
        ("sales.referred", {"account": "gone", "at": "9999-12-31T23:59:59Z"}, "failed"),
        ("purchase.paid_call", {"email": "x", "order_id": "1", "at": "2026-11-20T10:00:00Z"}, "failed"),
    ],
)
def test_what_cannot_be_used_says_why_and_is_not_tried_again(type: str, data: Any, state: str) -> None:
    event = one(ingest(type, **data))
    assert (event.state, bool(event.sentence), event.due_at) == (state, True, None)


def test_an_event_that_raises_holds_up_no_other_and_is_given_up_after_ten_tries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def burst(*_: Any) -> str:
        raise RuntimeError("poison")

    monkeypatch.setattr(facts.Referred, "apply", burst)
    made = customer(Stage.INITIATED)
    poison = ingest("sales.referred", account=made.external_id, at="2026-11-20T10:00:00Z")
    good = answered(made)
    drained(poison, good)
    assert (poison.state, poison.tries, poison.due_at, good.state) == (
        "failed",
        1,
        NOW + timedelta(seconds=30),
        "done",
    )
    for _ in range(TRIES + 2):
        if poison.due_at:
            drain.apply_due(now=poison.due_at)
        poison.refresh_from_db()
    assert (poison.state, poison.tries, poison.due_at) == ("given_up", TRIES, None)
    assert (stage(made), "poison" in poison.sentence) == (Stage.ENGAGED_EMAIL, True)


def test_bodies_are_blanked_after_ninety_days() -> None:
    made = customer()
    event = one(bought(address(made)))
    Event.objects.forget(now=NOW + timedelta(days=89))
    assert bytes(Event.objects.get().body) != b""
    Event.objects.forget(now=NOW + timedelta(days=91))
    event.refresh_from_db()
    assert (bytes(event.body), event.state) == (b"", "done")


def test_linking_an_event_applies_it_and_others_like_it() -> None:
    made = account(domain="two.example")
    account(domain="two.example")
    first, second, other = drained(
        bought("ann@two.example"), bought("ann@two.example", "order-2"), bought("bob@else.example", "order-3")
    )
    assert link(first, made, by=user(), now=NOW) == 2
    found = drained(first, second, other)
    assert [event.state for event in found] == ["done", "done", "unmatched"]
    assert (made.purchases.count(), address(made)) == (2, "ann@two.example")


def statements(event: Event) -> int:
    assert event.claim(now=NOW)
    with CaptureQueriesContext(connection) as asked:
        drain.apply(event, now=NOW)
    event.refresh_from_db()
    assert event.state == Event.State.DONE, event.sentence
    return len(asked)


def test_an_event_takes_few_statements():
    of = customer(Stage.CALL_BOOKED, stripe_customer_id="cus_1")
    hour = {"starts_at": NOW.isoformat(), "ends_at": (NOW + timedelta(hours=1)).isoformat()}
    one(ingest("call.booked", call_id="c1", kind="intro", email=address(of), **hour))
    held = statements(ingest("call.held", call_id="c1"))
    bill = statements(told("stripe", "invoice.paid", invoice("invoice.paid", status="paid")))
    facts_said = statements(ingest("account.upserted", external_id=of.external_id, name="Another"))
    assert stage(of) == Stage.INTRO_CALL_COMPLETED
    # Two of each are the savepoint that stands for the event's transaction inside the test's.
    assert held <= 17
    assert bill <= 8
    assert facts_said <= 18
