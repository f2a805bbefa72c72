"""The panels of an account's page about the work: audit, credits, brief, risk and pinned notes."""

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from apps.crm.models import Account, AuditPoint, Credit, Note, RiskAssessment
from apps.crm.models.audit import POINTS
from apps.crm.pipeline import Stage
from tests.account_pages import post, said, shown
from tests.answers import toast
from tests.factories import NOW, TODAY, account, call, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


def give(of, by, **facts):
    usual = {"kind": "missed_call", "amount": Decimal(30), "currency": "USD", "on": TODAY, "why": "Missed."}
    return Credit.objects.record(of, by=by, now=NOW, **usual | facts)


# The audit


def test_the_usual_points_wait_until_somebody_says_how_they_stand(browser, me):
    of = account(Stage.NEW)
    assert "Audit 6 open" in shown(browser, of)
    answer = post(browser, "audit", of, what="Unused products", state="done", saving="120")
    assert toast(answer)["text"] == "Unused products: done, saves $120 a month."
    post(browser, "audit", of, what="Identity merging", state="not_relevant")
    post(browser, "audit", of, what="Own proxy", state="open", saving="35.50")
    page = shown(browser, of)
    for words in (
        "Audit 5 open",
        "Done · Ann Ames, 21 Nov $120",
        "Not relevant · Ann Ames, 21 Nov",
        "Own proxy",
        "Saved a month $120",
        "Could be saved $36",
    ):
        assert words in page
    kept = AuditPoint.objects.get(what="Unused products")
    assert (kept.account, kept.saving, kept.by, kept.at) == (of, Decimal(120), me, NOW)
    undo = toast(answer)["undo"]
    assert browser.post(undo["url"], undo["values"]).status_code == 200
    kept.refresh_from_db()
    assert (kept.state, kept.saving) == ("open", None)


def test_the_second_to_say_how_a_point_stands_sees_both_and_overwrites_nothing(browser):
    of, dan = account(Stage.NEW), user(first_name="Dan", last_name="Ohm")
    theirs = {
        "state": "done",
        "saving": Decimal(10),
        "by": dan,
        "now": NOW - timedelta(hours=1),
        "seen": None,
    }
    AuditPoint.objects.look_at(of, "Refund due", **theirs)
    before = AuditPoint.objects.values().get()
    answer = post(browser, "audit", of, what="Refund due", state="not_relevant")
    assert answer.status_code == 409
    assert "Done, saves $10 a month, says Dan Ohm" in said(answer)
    assert AuditPoint.objects.values().get() == before
    seen = re.search(r'data-keeps="audit-Refund due.*?name="seen" value="([^"]+)"', answer.text)[1]
    mine = {"what": "Refund due", "state": "not_relevant", "seen": seen}
    assert post(browser, "audit", of, **mine).status_code == 200
    stale = post(browser, "audit", of, **mine | {"state": "open"})
    assert (stale.status_code, AuditPoint.objects.get().state) == (409, "not_relevant")


def test_a_point_that_went_meanwhile_is_not_made_anew(browser):
    of = account(Stage.NEW)
    answer = post(browser, "audit", of, what="Refund due", state="done", seen=NOW.isoformat())
    assert (answer.status_code, toast(answer)["text"]) == (422, "This point is not there any more.")
    assert not AuditPoint.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"what": ""}, "Say what was looked at."),
        ({"state": "maybe"}, "A point is open, done or not relevant."),
        ({"saving": "-1"}, "A saving is 0 or more."),
        ({"saving": "a lot"}, "Write the sum as a plain number, such as 40 or 99.50."),
    ],
)
def test_a_point_that_cannot_be_read_is_refused_in_a_sentence(browser, wrong, sentence):
    of = account(Stage.NEW)
    answer = post(browser, "audit", of, **{"what": "Billing limits", "state": "done"} | wrong)
    assert (answer.status_code, toast(answer)["text"]) == (422, sentence)
    assert not AuditPoint.objects.exists()


def test_before_it_is_closed_as_onboarded_the_audit_is_remembered_and_guards_nothing(browser, me):
    words = "Before you close it: 6 of 6 points of the audit are open."
    of = account(Stage.AWAITING_FINAL_OUTREACH)
    assert words in shown(browser, of)
    assert words in said(browser.get(f"/accounts/{of.pk}/forms/move/"))
    for stage in (Stage.NEW, Stage.CHURNED):
        other = account(stage)
        assert "Before you close it" not in shown(browser, other)
        assert "Before you close it" not in said(browser.get(f"/accounts/{other.pk}/forms/move/"))
    assert post(browser, "move", of, to=Stage.ONBOARDED_NO_ENGAGEMENT).status_code == 200
    done = account(Stage.AWAITING_FINAL_OUTREACH)
    for what in POINTS:
        AuditPoint.objects.look_at(done, what, state="done", saving=None, by=me, now=NOW, seen=None)
    assert "Before you close it" not in shown(browser, done)


# Credits and refunds


def test_what_was_given_is_written_down_and_a_mistake_taken_back_by_an_entry_against_it(browser, me):
    of = account(Stage.NEW)
    facts = {"kind": "misconfiguration", "amount": "99.50", "currency": "USD", "on": "2026-11-20"}
    answer = post(browser, "credit", of, **facts, why="Double events.")
    assert "$99.50" in toast(answer)["text"]
    entry = Credit.objects.get()
    assert (entry.amount, entry.on, entry.by, entry.why) == (
        Decimal("99.50"),
        date(2026, 11, 20),
        me,
        "Double events.",
    )
    give(of, me, amount=Decimal(20), currency="EUR", kind="services")
    assert "Given EUR 20, $99.50" in shown(browser, of)
    assert post(browser, "credit_correct", of, entry.pk, why="Wrong account.").status_code == 200
    page = shown(browser, of)
    assert "Misconfiguration taken back" in page
    assert "$-99.50" in page
    assert "Given EUR 20" in page
    against = Credit.objects.get(corrects=entry)
    for one in (entry, against):
        before = list(Credit.objects.values())
        again = post(browser, "credit_correct", of, one.pk, why="Again.")
        assert (again.status_code, list(Credit.objects.values())) == (422, before)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"amount": "0"}, "The sum is more than 0."),
        ({"amount": "-5"}, "The sum is more than 0."),
        ({"amount": "1.234"}, "Write the sum as a plain number, such as 40 or 99.50."),
        ({"currency": "usd"}, "A currency is three capital letters, such as USD."),
        ({"on": "2026-11-22"}, "Write down what was given, not what will be."),
        ({"kind": "gift"}, "There is no such kind."),
        ({"why": " "}, "Say why."),
    ],
)
def test_an_entry_that_cannot_be_read_is_refused_in_a_sentence(browser, wrong, sentence):
    facts = {"kind": "services", "amount": "5", "currency": "USD", "on": "2026-11-20", "why": "So."}
    answer = post(browser, "credit", account(Stage.NEW), **facts | wrong)
    assert (answer.status_code, toast(answer)["text"]) == (422, sentence)
    assert not Credit.objects.exists()


def test_the_database_refuses_to_change_or_delete_what_was_given_and_false_corrections(me):
    of, other = account(Stage.NEW), account(Stage.NEW)
    entry = give(of, me)
    before = list(Credit.objects.values())
    for sql in (
        "DELETE FROM crm_credit",
        "UPDATE crm_credit SET amount = 31",
        "UPDATE crm_credit SET why = 'other'",
        "UPDATE crm_credit SET why = '', by_id = NULL",
        'INSERT INTO crm_credit (account_id, kind, amount, currency, "on", why, by_id, at, corrects_id) '
        'SELECT account_id, kind, -amount - 1, currency, "on", why, by_id, at, id FROM crm_credit',
        'INSERT INTO crm_credit (account_id, kind, amount, currency, "on", why, by_id, at, corrects_id) '
        f'SELECT {other.pk}, kind, -amount, currency, "on", why, by_id, at, id FROM crm_credit',
        'INSERT INTO crm_credit (account_id, kind, amount, currency, "on", why, by_id, at) '
        'SELECT account_id, kind, -amount, currency, "on", why, by_id, at FROM crm_credit',
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    assert list(Credit.objects.values()) == before
    entry.correct(why="Twice", by=me, now=NOW)
    Credit.objects.update(why="")
    of.delete()
    assert not Credit.objects.exists()


# The brief


def test_the_brief_is_filled_in_from_the_record_and_leaves_out_what_is_not_known(browser, me):
    bare = browser.get(f"/accounts/{account(name='Bare').pk}/brief/").text
    assert bare.startswith("# Bare\n\n**Who**\n")
    for title in ("Goals", "Open alerts", "Audit", "Given back"):
        assert f"**{title}**" not in bare
    of = account(
        Stage.NEW,
        name="Blue Harbor",
        forecast=Decimal(2400),
        payment_risk="high",
        payment_risk_reason="Two cards",
    )
    of.contacts.create(email="zoe@acme.example", name="Zoe", role="Founder")
    of.bills.create(external_id="in_1", amount=100, status="open", attempts=2, reported_at=NOW)
    of.add_note("Ship weekly.", by=me, now=NOW, kind=Note.Kind.GOALS)
    of.add_note("Not for the brief.", by=me, now=NOW)
    of.alerts.create(kind="failed-payment", subject="b", text="Card declined", raised_at=NOW)
    call(of, status="held")
    AuditPoint.objects.look_at(of, "Refund due", state="done", saving=Decimal(40), by=me, now=NOW, seen=None)
    give(of, me)
    answer = browser.get(f"/accounts/{of.pk}/brief/")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    for words in (
        "# Blue Harbor",
        "- AE, CSM or AM: none",
        "- Zoe <zoe@acme.example>, Founder",
        "- Forecast: $2,400",
        "- Next renewal: 21 Dec 2026",
        "- Payment risk: High Two cards",
        "open, 2 failed",
        "- Engaged: not yet",
        "- Intro call 21 Nov 2026: held",
        "**Goals**\nShip weekly.",
        "- Payment failed: Card declined",
        "- Refund due: done, saves $40 a month",
        "- 30.00 USD in credits and refunds",
    ):
        assert words in answer.text
    assert "Not for the brief." not in answer.text


def test_the_brief_is_offered_where_an_account_is_handed_to_sales_and_nowhere_else(browser):
    of = account(Stage.NEW)
    offers = f'data-begins="/accounts/{of.pk}/brief/"'
    for address in (f"/accounts/{of.pk}/", f"/accounts/{of.pk}/forms/move/?from=list"):
        page = browser.get(address).text
        assert page.count(offers) == 1
        form = page[: page.index(offers)].rsplit("<form", 1)[1]
        assert 'name="to" value="sales_handoff"' in form


# Payment risk


def test_every_assessment_of_the_risk_is_kept_whoever_writes_it(browser, me):
    of = account(Stage.NEW)
    facts = {"payment_risk_reason": "Card failed", "seen": of.changed_at.isoformat()}
    post(browser, "risk", of, payment_risk="medium", **facts)
    Account.objects.filter(pk=of.pk).update(payment_risk="high", payment_risk_reason="Told by a file")
    Account.objects.filter(pk=of.pk).update(name="Another name", payment_risk_reason="Mended")
    account(payment_risk="low")
    assert list(RiskAssessment.objects.order_by("pk").values_list("risk", "reason", "by")) == [
        ("medium", "Card failed", me.pk),
        ("high", "Told by a file", me.pk),
        ("low", "", None),
    ]
    page = shown(browser, of, kind="risk")
    assert "Ann Ames set the payment risk to Medium Card failed" in page
    assert "Asks to be confirmed again at the renewal on 21 Dec." in page


@pytest.mark.parametrize("role", ["viewer", "revenue", "specialist"])
def test_revenue_sets_the_risk_and_nothing_else_of_the_work(client, role):
    of = account(Stage.NEW)
    note = of.add_note("Hello", by=None, now=NOW)
    client.force_login(user(role))
    page = client.get(f"/accounts/{of.pk}/").text
    works = role == "specialist"
    for mark in ('id="add-credit"', 'id="add-audit"', 'id="edit-audit-1"', 'aria-label="Pin'):
        assert (mark in page) is works
    answers = {
        "risk": post(client, "risk", of, payment_risk="high", payment_risk_reason="So"),
        "audit": post(client, "audit", of, what="Refund due", state="done"),
        "credit": post(client, "credit", of),
        "correct": post(client, "credit_correct", of, 1),
        "pin": post(client, "note_pin", of, note.pk, on="on"),
    }
    refused = {name for name, answer in answers.items() if answer.status_code == 403}
    everything = {*answers}
    assert refused == {"viewer": everything, "revenue": everything - {"risk"}, "specialist": set()}[role]


# Notes


def test_a_pinned_note_stands_above_the_rest_until_it_is_unpinned(browser, me):
    of = account(Stage.NEW)
    note = of.add_note("Never call **before noon**.", by=me, now=NOW)
    assert "Pinned" not in shown(browser, of)
    answer = post(browser, "note_pin", of, note.pk, on="on")
    assert "<strong>before noon</strong>" in answer.text[: answer.text.index("What happened")]
    undo = toast(answer)["undo"]
    browser.post(undo["url"], undo["values"])
    note.refresh_from_db()
    assert (note.pinned_at, "Pinned" in shown(browser, of)) == (None, False)


@pytest.mark.parametrize("change", ["audit", "credit", "pin"])
def test_what_hangs_on_an_account_comes_to_open_pages_and_clashes_with_no_form(browser, me, change):
    of = account(Stage.NEW)
    note = of.add_note("Hello", by=me, now=NOW)
    Account.objects.update(touched=0)
    {
        "audit": lambda: post(browser, "audit", of, what="Refund due", state="done"),
        "credit": lambda: give(of, me),
        "pin": lambda: post(browser, "note_pin", of, note.pk, on="on"),
    }[change]()
    after = Account.objects.get(pk=of.pk)
    assert after.touched > 0
    assert after.changed_at == of.changed_at
