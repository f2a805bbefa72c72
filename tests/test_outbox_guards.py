"""The send guards: each at its edge, asked at the moment of sending, with the reason in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.crm.models import Bill, Policy
from apps.crm.pipeline import STAGES, Stage
from apps.outbox import send
from apps.outbox.guards import APART, GUARDS
from apps.outbox.models import AUTOMATIC, MAIL, Gate, Message
from tests.factories import NOW, account, days, user

pytestmark = pytest.mark.django_db

ANN = "ann@acme.example"


@pytest.fixture(autouse=True)
def _kept_here(settings):
    settings.DEBUG, settings.EMAIL_URL = True, ""


def customer(stage=Stage.NEW, email=ANN, **facts):
    made = account(stage, **facts)
    made.contacts.create(email=email)
    return made


def letter(key, of, to=ANN, *, now=NOW, automatic=True):
    made = Message.mail(
        key, to=to, kind="survey", subject="How was it?", now=now, account_id=of.pk, automatic=automatic
    )
    return Message.objects.write([made])[0]


def sent_at(now=NOW):
    send.drain(MAIL, clock=lambda: now)
    return sorted(Message.objects.sent().values_list("key", flat=True))


def held():
    return dict(Message.objects.held().values_list("key", "because"))


@pytest.mark.parametrize("stage", [Stage.OUTSIDE, *STAGES])
def test_it_goes_to_open_stages_and_to_6a_and_6b_only(stage):
    letter("m", customer(stage))
    stops = stage in (Stage.OUTSIDE, Stage.SALES_HANDOFF, Stage.CHURNED)
    assert sent_at() == ([] if stops else ["m"])
    assert held() == ({"m": "The account is in no open stage, and neither in 6a nor 6b."} if stops else {})


@pytest.mark.parametrize(("kind", "stops"), [("", False), ("AE", True), ("CSM", True), ("AM", True)])
def test_it_does_not_go_to_an_account_of_sales(kind, stops):
    letter("m", customer(sales_contact_kind=kind))
    assert (sent_at(), held()) == (([], {"m": "The account has an AE, CSM or AM."}) if stops else (["m"], {}))


BILLS = [
    ("open", 1, True),
    ("open", 0, False),
    ("paid", 1, False),
    ("void", 2, False),
    ("uncollectible", 3, False),
]


@pytest.mark.parametrize(("status", "attempts", "stops"), BILLS)
def test_it_does_not_go_while_a_failed_payment_is_open(status, attempts, stops):
    one = customer()
    Bill.objects.create(account=one, external_id="in_1", status=status, attempts=attempts, reported_at=NOW)
    Bill.objects.create(account=account(), external_id="in_2", status="open", attempts=1, reported_at=NOW)
    letter("m", one)
    assert (sent_at(), held()) == (
        ([], {"m": "A failed payment of the account is open."}) if stops else (["m"], {})
    )


PEOPLE = [
    ({"bounced_at": NOW}, "Mail to them bounced."),
    ({"unsubscribed_at": NOW}, "They unsubscribed."),
    ({"do_not_contact": True}, "They are not to be contacted."),
    ({"email": "bob@acme.example"}, "The account has no contact with this address any more."),
]


@pytest.mark.parametrize(("fact", "because"), PEOPLE)
def test_it_does_not_go_to_whom_it_must_not_go(fact, because):
    one, other = customer(), customer(email="eve@beta.example")
    one.contacts.update(**fact)
    letter("m", one)
    letter("n", other, "eve@beta.example")
    assert (sent_at(), held()) == (["n"], {"m": because})


@pytest.mark.parametrize("fact", [fact for fact, _ in PEOPLE[:3]])
def test_what_holds_for_a_person_holds_at_each_of_their_accounts(fact):
    one, other = customer(), customer()
    other.contacts.update(**fact)
    letter("m", one)
    assert (sent_at(), [*held()]) == ([], ["m"])


@pytest.mark.parametrize(("apart", "stops"), [(APART - timedelta(seconds=1), True), (APART, False)])
def test_a_person_gets_one_automatic_mail_in_14_days(apart, stops):
    one, other = customer(), customer()
    letter("first", one)
    assert sent_at() == ["first"]
    letter("second", other, now=NOW + apart)
    assert sent_at(NOW + apart) == (["first"] if stops else ["first", "second"])
    assert held() == ({"second": "They had automatic mail less than 14 days ago."} if stops else {})


def test_mail_that_may_have_left_with_a_killed_sender_counts_as_sent():
    one, other = customer(), customer()
    letter("first", one)
    send._claim(MAIL, now=NOW)
    letter("second", other)
    assert (sent_at(), [*held()]) == ([], ["second"])


def test_mail_that_a_person_wrote_counts_for_nothing_and_passes_everything():
    one = customer(Stage.CHURNED, sales_contact_kind="AE")
    letter("by hand", one, automatic=False)
    two = customer()
    letter("automatic", two)
    assert (sent_at(), held()) == (["automatic", "by hand"], {})


def test_the_guards_are_asked_when_it_is_sent_and_again_after_a_retry():
    one = customer()
    waiting = letter("m", one)
    one.contacts.update(do_not_contact=True)
    assert (sent_at(), [*held()]) == ([], ["m"])
    waiting.refresh_from_db()
    assert waiting.retry(now=NOW)
    assert (sent_at(), [*held()]) == ([], ["m"])
    one.contacts.update(do_not_contact=False)
    assert waiting.retry(now=NOW)
    assert (sent_at(), held()) == (["m"], {})
    assert not waiting.retry(now=NOW)


def test_over_the_days_cap_the_rest_waits_for_the_teams_next_day():
    Policy.objects.create(name="mail_daily_cap", value="2", starts_on=NOW.date())
    Policy.objects.create(name="time_zone", value="America/New_York", starts_on=NOW.date())
    for number in range(5):
        letter(f"m{number}", customer(email=f"p{number}@x.example"), f"p{number}@x.example")
    letter("by hand", customer(), automatic=False)
    assert sent_at() == ["by hand", "m0", "m1"]
    midnight = (NOW + days(1)).replace(hour=5)
    assert sent_at(midnight - timedelta(seconds=1)) == ["by hand", "m0", "m1"]
    assert sent_at(midnight) == ["by hand", "m0", "m1", "m2", "m3"]
    assert sent_at(midnight + days(1)) == ["by hand", "m0", "m1", "m2", "m3", "m4"]
    assert held() == {}


def test_a_lead_stops_all_automatic_mail_and_nothing_is_lost():
    lead = user("lead")
    Gate.objects.turn(AUTOMATIC, shut=True, by=lead, now=NOW)
    letter("m", customer())
    assert (sent_at(), held(), Message.objects.waiting().count()) == ([], {}, 1)
    Gate.objects.turn(AUTOMATIC, shut=False, by=lead, now=NOW)
    assert sent_at() == ["m"]


def test_every_guard_says_its_rule_and_its_reason():
    assert len(GUARDS) == 8
    assert all(guard.rule and guard.because.endswith(".") for guard in GUARDS)
