"""What playbooks tell in Slack: alerts, leads for Sales and handoffs, each once, with the act that causes it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.crm.days import spoken
from apps.crm.models import Alert, Bill
from apps.crm.pipeline import Stage
from apps.outbox.models import SLACK, Message
from apps.playbooks.engine import run
from apps.playbooks.models import Act
from apps.playbooks.registry import HANDOFF_IS_NEWS_DAYS
from tests.factories import NOW, TODAY, account, days, purchase, user

pytestmark = pytest.mark.django_db


def told(*names, now=NOW):
    """Runs playbooks twice; what was told by then, oldest first."""
    for _ in range(2):
        run(names, now=now)
    found = Message.objects.order_by("pk").values_list("kind", "account", "subject", "text")
    assert set(Message.objects.values_list("channel", "automatic")) <= {(SLACK, False)}
    return list(found)


def test_an_alert_is_told_once_with_its_words():
    one = account(Stage.NEW, since=NOW - days(8))
    [(kind, of, subject, text)] = told("missed-outreach")
    alert = Alert.objects.get()
    assert (kind, of, subject) == ("missed-outreach", one.pk, f"Outreach missed: {one.name}")
    assert (text, alert.text) == (
        f"Nobody has written to them yet; the account entered on {spoken(str(TODAY - days(8)), TODAY)}.",
        f"Nobody has written to them yet; the account entered on {TODAY - days(8)}.",
    )


def test_an_alert_that_opens_again_or_closes_is_not_told_again():
    one = account(Stage.NEW)
    Bill.objects.create(
        account=one, external_id="in_1", status="open", attempts=1, amount=90, reported_at=NOW
    )
    assert len(told("failed-payment")) == 1
    Alert.objects.get().resolve(by=user(), now=NOW, resolution="Called them.")
    Bill.objects.update(attempts=2)
    assert len(told("failed-payment")) == 1
    assert Alert.objects.open().count() == 1
    Bill.objects.update(status="paid")
    assert len(told("failed-payment")) == 1
    assert not Alert.objects.open().exists()


def test_sales_hears_of_a_lead_once():
    one = account(plan="pay-as-you-go", forecast=2_500)
    run(["enter-pipeline"], now=NOW)
    [(kind, of, subject, text)] = told("sales-lead")
    assert (kind, of, subject) == ("sales-lead", one.pk, f"A lead for Sales: {one.name}")
    assert text == spoken(Act.objects.get(playbook="sales-lead").because, TODAY)
    one.refresh_from_db()
    assert one.referred_at == NOW


def hand_over(one, note="Wants a contract.", now=NOW):
    one.refresh_from_db()
    return one.move(Stage.SALES_HANDOFF, by=user(), now=now, cause="board", reason=note)


def test_a_handoff_is_told_once_with_its_note_and_the_next_one_too():
    one = account(Stage.INITIATED)
    hand_over(one)
    assert told("handoff-told") == [
        ("handoff-told", one.pk, f"Handed to Sales: {one.name}", "Wants a contract.")
    ]
    one.refresh_from_db()
    one.move(Stage.NEW, by=user(), now=NOW + days(1), cause="board", reason="Not for Sales.")
    hand_over(one, "Now they do.", NOW + days(2))
    assert [text for *_, text in told("handoff-told", now=NOW + days(2))] == [
        "Wants a contract.",
        "Now they do.",
    ]


def test_a_handoff_that_a_file_brought_or_that_is_old_is_no_news():
    account(Stage.SALES_HANDOFF)
    old = account(Stage.INITIATED, since=NOW - days(40))
    hand_over(old, now=NOW - days(HANDOFF_IS_NEWS_DAYS + 1))
    assert told("handoff-told") == []
    assert len(told("handoff-told", now=NOW - timedelta(days=1))) == 1


def test_what_an_import_holds_is_not_told():
    one = account(Stage.NEW, since=NOW - days(8), held_by="import:1")
    hand = account(Stage.INITIATED, held_by="import:1")
    hand_over(hand)
    type(hand).objects.filter(pk=hand.pk).update(held_by="import:1")
    assert told("missed-outreach", "handoff-told") == []
    type(one).objects.update(held_by="")
    assert len(told("missed-outreach", "handoff-told")) == 2


def test_a_dry_run_tells_nobody():
    account(Stage.NEW, since=NOW - days(8))
    run(["missed-outreach"], now=NOW, dry_run=True)
    assert not Message.objects.exists()


def test_a_paid_call_is_told_once():
    one = account()
    purchase(one, bought_at=NOW)
    [(kind, of, subject, text)] = told("paid-call-routing")
    assert (kind, of, subject) == ("paid-call-routing", one.pk, f"Paid call purchased: {one.name}")
    assert text == spoken(Act.objects.get().because, TODAY)
