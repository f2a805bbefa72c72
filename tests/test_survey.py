"""The satisfaction survey: who is asked, once, and what holds the mail back."""

import re
from datetime import timedelta
from functools import partial

import pytest

from apps.crm.models import Account, Bill, Policy, Survey
from apps.crm.pipeline import ONBOARDED, Stage
from apps.outbox.mail import unsubscribe_url
from apps.outbox.models import MAIL, Message
from apps.outbox.send import drain
from apps.playbooks.due import due
from apps.playbooks.engine import named, run, skip
from apps.playbooks.models import Switch
from apps.playbooks.simulate import ahead
from tests.factories import NOW, TODAY, account, days, snapshot, user
from tests.surveying import AN_INSTANT, ASK, LATER, LOW, YESTERDAY, S, acted_on, asked, closed, with_contact

pytestmark = pytest.mark.django_db


def blocked(elsewhere=False, **how):
    """A closed account whose only contact is not to be written to, by what is known here or at another account."""
    of = account(S.ONBOARDED_ENGAGED, since=YESTERDAY)
    if elsewhere:
        with_contact(with_contact(of, "ann@acme.example") and account(), "ann@acme.example", **how)
    else:
        with_contact(of, **how)
    return of


def late_reply(*, asked_before=False, closed_ago=3):
    """Closed as 6a, and moved to 6b by a late reply after its survey or before it."""
    since = NOW - days(closed_ago)
    of = closed(S.ONBOARDED_NO_ENGAGEMENT, since=since, engaged_at=YESTERDAY, engaged_via="email")
    if asked_before:
        run([ASK], now=NOW - days(2))
    of.move(S.ONBOARDED_ENGAGED, by=None, now=YESTERDAY, cause="event:1")
    return of


def left_paid_call(*, asked_before):
    of = closed(since=NOW - days(5))
    if asked_before:
        run([ASK], now=NOW - days(4))
    of.move(S.PAID_CALL, by=None, now=NOW - days(3), cause="event:1")
    of.leave_paid_call(by=None, now=NOW - days(2), cause="event:2")
    return of


def undone(then):
    """Closed and asked a while ago, moved on by a mistake of yesterday, and back."""
    of, person = closed(since=NOW - days(20)), user()
    run([ASK], now=NOW - days(19))
    of.move(then, by=person, now=YESTERDAY, cause="board", reason="by mistake")
    of.undo(by=person, now=YESTERDAY + timedelta(minutes=1))
    return of


MIDNIGHT = NOW.replace(hour=0)
CASES = {
    **{f"in {stage.number}": (partial(closed, stage), stage in ONBOARDED) for stage in Stage},
    "closed late yesterday": (lambda: closed(since=MIDNIGHT - AN_INSTANT), True),
    "closed today": (lambda: closed(since=MIDNIGHT), False),
    "closed 30 days ago": (lambda: closed(since=MIDNIGHT - days(30)), True),
    "closed 31 days ago": (lambda: closed(since=MIDNIGHT - days(30) - AN_INSTANT), False),
    "no contact": (lambda: account(S.ONBOARDED_ENGAGED, since=YESTERDAY), False),
    "bounced": (lambda: blocked(bounced_at=NOW), False),
    "unsubscribed": (lambda: blocked(unsubscribed_at=NOW), False),
    "not to be contacted": (lambda: blocked(do_not_contact=True), False),
    "bounced elsewhere": (lambda: blocked(True, bounced_at=NOW), False),
    "unsubscribed elsewhere": (lambda: blocked(True, unsubscribed_at=NOW), False),
    "not to be contacted elsewhere": (lambda: blocked(True, do_not_contact=True), False),
    "one of two unsubscribed": (lambda: with_contact(blocked(unsubscribed_at=NOW)), True),
    "a late reply before it was asked": (late_reply, True),
    "a reply when it is too late to ask": (lambda: late_reply(closed_ago=31), False),
    "a late reply after": (lambda: late_reply(asked_before=True), False),
    "left a paid call before it was asked": (lambda: left_paid_call(asked_before=False), True),
    "left a paid call after": (lambda: left_paid_call(asked_before=True), False),
    "an undone churn of yesterday": (lambda: undone(S.CHURNED), False),
    "an undone entry of yesterday": (lambda: undone(S.NEW), False),
}


@pytest.mark.parametrize(("made", "expected"), CASES.values(), ids=CASES)
def test_who_is_asked_is_asked_once(made, expected):
    of = made()
    before, had = snapshot(of), Survey.objects.count()
    assert due(named(ASK), Policy.at(NOW)).filter(pk=of.pk).exists() is expected
    assert acted_on(ASK) == ([of.pk] if expected else [])
    assert acted_on(ASK, now=LATER) == []
    assert snapshot(of) == before
    assert Survey.objects.count() == had + expected == Message.objects.count()


def test_three_days_of_silence_are_caught_up_once():
    of = closed(since=NOW - days(4))
    assert acted_on(ASK) == [of.pk]
    assert acted_on(ASK, now=NOW + days(3)) == []
    assert Survey.objects.count() == Message.objects.count() == 1


def test_a_closing_that_can_still_be_undone_is_left_alone():
    of = closed(since=MIDNIGHT - timedelta(minutes=2))
    assert acted_on(ASK, now=MIDNIGHT + timedelta(minutes=8)) == []
    assert acted_on(ASK, now=MIDNIGHT + timedelta(minutes=8) + AN_INSTANT) == [of.pk]


def test_another_closing_is_another_survey():
    of, person = closed(since=NOW - days(9)), user()
    assert acted_on(ASK, now=NOW - days(8)) == [of.pk]
    for stage, ago in (
        (S.NEW, 7),
        (S.INITIATED, 6),
        (S.AWAITING_FINAL_OUTREACH, 5),
        (S.ONBOARDED_ENGAGED, 2),
    ):
        of.move(stage, by=person, now=NOW - days(ago), cause="board", reason="again")
    assert acted_on(ASK) == [of.pk]
    closings = of.transitions.filter(to_stage=S.ONBOARDED_ENGAGED).order_by("version")
    assert list(of.surveys.order_by("pk").values_list("closing", flat=True)) == [one.pk for one in closings]


def test_it_waits_while_paused_for_a_release_and_for_a_person():
    of = closed()
    Switch.objects.turn(ASK, paused=True, by=user("lead"), now=NOW)
    assert acted_on(ASK) == []
    Switch.objects.turn(ASK, paused=False, by=user("lead"), now=NOW)
    Account.objects.filter(pk=of.pk).update(quarantine="3. Onboarded")
    assert acted_on(ASK, held=True) == []
    Account.objects.filter(pk=of.pk).update(quarantine="", held_by="import:1")
    assert acted_on(ASK) == []
    assert acted_on(ASK, held=True) == [of.pk]


def test_a_skipped_account_is_not_asked():
    of = closed()
    assert skip(named(ASK), of, by=user("lead"), now=NOW)
    assert acted_on(ASK) == []
    assert not Survey.objects.exists()


def test_its_numbers_are_the_teams_to_tune():
    for name, value in (("survey_after_days", 3), ("survey_within_days", 5), ("survey_low_score", 2)):
        Policy.objects.create(name=name, value=str(value), starts_on=TODAY)
    closed(since=NOW - days(2))
    of = closed(since=NOW - days(3))
    closed(since=NOW - days(6))
    assert acted_on(ASK) == [of.pk]
    of.surveys.get().answer(3, "", numbers=Policy.at(NOW))
    assert acted_on(LOW) == []


def test_the_mail_goes_to_whom_it_may_with_a_link_of_its_own():
    of = closed()
    first = of.contacts.get()
    with_contact(of, "olga@acme.example", name="Olga <b>", role="Owner")
    survey = asked(of)
    mail, act = Message.objects.get(), of.acts.get()
    assert survey.contact.email == mail.to == "olga@acme.example" != first.email
    assert (mail.channel, mail.automatic, mail.account, mail.subject) == (
        MAIL,
        True,
        of,
        "How was your onboarding?",
    )
    assert (act.occasion, act.because) == (
        f"closing:{survey.closing_id}",
        "Closed as 6b on 2026-11-20, yesterday",
    )
    link = f"http://127.0.0.1:8000/survey/{survey.token}/"
    assert f"Answer here: {link}\n" in mail.text
    assert [*map(int, re.findall(re.escape(f'href="{link}?score=') + r'(\d+)"', mail.html))] == [*range(11)]
    assert "Hello Olga <b>," in mail.text
    assert "Hello Olga &lt;b&gt;," in mail.html
    assert unsubscribe_url("olga@acme.example") in mail.text
    assert unsubscribe_url("olga@acme.example") in mail.html


HOLDS = {
    "they unsubscribed": lambda of: of.contacts.update(unsubscribed_at=NOW),
    "mail bounced": lambda of: of.contacts.update(bounced_at=NOW),
    "not to be contacted": lambda of: of.contacts.update(do_not_contact=True),
    "the contact was erased": lambda of: of.contacts.all().delete(),
    "somebody of Sales": lambda of: of.edit(now=NOW, sales_contact_kind="AE"),
    "a failed payment": lambda of: Bill.objects.create(
        account=of, external_id="in_1", amount=1, status="open", attempts=1, reported_at=NOW
    ),
    "churned meanwhile": lambda of: of.move(S.CHURNED, by=user(), now=NOW, cause="board", reason="gone"),
}


@pytest.mark.parametrize("change", HOLDS.values(), ids=HOLDS)
def test_what_changes_before_it_leaves_holds_the_mail_back_with_a_reason(change, settings):
    settings.DEBUG = True
    of = closed()
    asked(of)
    change(of)
    drain(MAIL, clock=lambda: LATER)
    mail = Message.objects.filter(channel=MAIL).get()
    assert mail.sent_at is None
    assert mail.held_at == LATER
    assert mail.because.endswith(".")


def test_one_person_is_not_asked_for_two_accounts_within_two_weeks(settings):
    settings.DEBUG = True
    for _ in range(2):
        with_contact(account(S.ONBOARDED_ENGAGED, since=YESTERDAY), "ann@acme.example")
    run([ASK], now=NOW)
    drain(MAIL, clock=lambda: LATER)
    assert Message.objects.sent().count() == Message.objects.held().count() == 1
    assert Message.objects.held().get().because == "They had automatic mail less than 14 days ago."


@pytest.mark.django_db(transaction=True)
def test_the_days_ahead_are_played_through_without_asking_anybody():
    of = closed(since=NOW)
    shown = ahead(named(ASK), now=NOW, days=3)
    assert [[line.external_id for line in day.lines] for day in shown.days] == [[], [of.external_id], []]
    assert not Survey.objects.exists()
    assert not Message.objects.exists()
