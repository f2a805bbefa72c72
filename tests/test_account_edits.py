"""Editing on the account's page: facts, labels, tasks and notes, and that a second hand never overwrites unseen."""

from datetime import timedelta

import pytest
import time_machine

from apps.crm.models import Account, Contact, Label, Note, Task
from apps.crm.pipeline import Stage
from tests.account_pages import get, post, said
from tests.answers import toast
from tests.factories import NOW, account, in_days, snapshot, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


def test_facts_are_changed_in_place_with_who_and_when(browser, me):
    shown = account(Stage.NEW, name="Blue Harbor")
    post(
        browser,
        "risk",
        shown,
        payment_risk="high",
        payment_risk_reason="Two cards failed.",
        seen=shown.changed_at.isoformat(),
    )
    post(browser, "extend", shown, extended_until="2026-12-24", extended_reason="Holidays.")
    answer = post(browser, "hand_pick", shown, hand_picked="Dan asked for it")
    after = Account.objects.get(pk=shown.pk)
    assert (after.payment_risk, after.payment_risk_reason, after.payment_risk_by, after.payment_risk_at) == (
        "high",
        "Two cards failed.",
        me,
        NOW,
    )
    assert (f"{after.extended_until}", after.extended_reason, after.hand_picked) == (
        "2026-12-24",
        "Holidays.",
        "Dan asked for it",
    )
    assert toast(answer)["text"] == "Blue Harbor: hand-picked Dan asked for it."
    post(browser, "extend", shown, extended_until="", extended_reason="left over")
    assert Account.objects.filter(pk=shown.pk, extended_until=None, extended_reason="").exists()


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("risk", {"payment_risk": "high"}, "Say why the risk is what it is."),
        (
            "risk",
            {"payment_risk": "enormous", "payment_risk_reason": "x"},
            "enormous is not one of the available choices",
        ),
        ("extend", {"extended_until": "soon", "extended_reason": "x"}, "The day is written like 2026-12-01."),
        ("extend", {"extended_until": "2026-12-24"}, "Say why it is given more time."),
        ("hand_pick", {"hand_picked": "x" * 301}, "at most 300 characters"),
        ("hand_pick", {"hand_picked": "a\0b"}, "Null characters are not allowed."),
        ("label", {"name": " "}, "Say which label."),
        ("label", {"name": "x" * 81}, "at most 80 characters"),
        ("unlabel", {"label": "999999"}, "There is no such label any more."),
        ("assign", {"owner": "999999"}, "can be given to a specialist"),
    ],
)
def test_bad_input_is_refused_in_a_sentence_and_changes_nothing(browser, name, values, sentence):
    shown = account(Stage.NEW)
    before = snapshot(shown)
    answer = post(browser, name, shown, **values)
    assert answer.status_code == 422
    assert sentence in toast(answer)["text"]
    assert snapshot(shown) == before
    assert not Label.objects.exists()


@pytest.mark.parametrize(
    ("name", "theirs", "mine", "told"),
    [
        ("hand_pick", {"hand_picked": "Theirs"}, {"hand_picked": "Mine"}, ("Theirs", "Mine")),
        (
            "risk",
            {"payment_risk": "low", "payment_risk_reason": "Paid."},
            {"payment_risk": "high", "payment_risk_reason": "Failed."},
            ("Low: Paid.", "High: Failed."),
        ),
    ],
)
def test_the_second_editor_sees_both_values_and_can_keep_either(browser, name, theirs, mine, told):
    shown = account(Stage.NEW)
    seen = shown.changed_at.isoformat()
    with time_machine.travel(NOW + timedelta(seconds=5), tick=False):
        assert post(browser, name, shown, seen=seen, **theirs).status_code == 200
    before = snapshot(shown)
    answer = post(browser, name, shown, seen=seen, **mine)
    page = said(answer)
    assert answer.status_code == 409
    assert "Nothing was overwritten" in toast(answer)["text"]
    assert f"Theirs, as it is now {told[0]} Mine {told[1]} Keep mine" in page
    assert snapshot(shown) == before
    current = Account.objects.get(pk=shown.pk).changed_at.isoformat()
    assert f'name="seen" value="{current}"' in answer.text.replace("&#43;", "+")
    assert post(browser, name, shown, seen=current, **mine).status_code == 200
    assert Account.objects.filter(pk=shown.pk, **mine).exists()


def test_an_owner_given_meanwhile_is_shown_beside_mine(browser, me):
    dan = user(first_name="Dan", last_name="Ohm")
    shown = account(Stage.NEW)
    seen = shown.changed_at
    shown.edit(now=NOW + timedelta(seconds=5), owner=dan)
    answer = post(browser, "assign", shown, owner=me.pk, seen=seen.isoformat())
    assert answer.status_code == 409
    assert "Theirs, as it is now Dan Ohm Mine Ann Ames" in said(answer)
    assert Account.objects.get(pk=shown.pk).owner == dan


def test_labels_come_and_go_in_the_teams_spelling_with_undo(browser):
    shown, label = account(Stage.NEW), Label.objects.create(name="Beta")
    undo = toast(post(browser, "label", shown, name="BETA"))["undo"]
    assert list(shown.labels.all()) == [label]
    undo = toast(browser.post(undo["url"], undo["values"]))["undo"]
    assert not shown.labels.exists()
    browser.post(undo["url"], undo["values"])
    assert list(shown.labels.all()) == [label]
    assert Label.objects.count() == 1


def test_a_task_is_ticked_off_once_and_taken_back(browser, me):
    shown = account(Stage.NEW)
    task = shown.add_task("Call them", in_days(1), by=me, now=NOW)
    answer = post(browser, "task_finish", task)
    undo = toast(answer)["undo"]
    task.refresh_from_db()
    assert (task.done_at, task.done_by) == (NOW, me)
    assert 'hx-target="#next-account"' in answer.text
    assert "Offer a second call" in answer.text
    again = post(browser, "task_finish", task)
    assert (again.status_code, toast(again)["text"]) == (409, "Ann Ames finished “Call them” already.")
    browser.post(undo["url"], undo["values"])
    assert Task.objects.filter(pk=task.pk, done_at=None, done_by=None).exists()
    assert Account.objects.get(pk=shown.pk).next_task_on == in_days(1)


def test_an_alert_is_worked_on_where_its_account_is_shown(browser, me):
    shown = account(Stage.NEW)
    alert = shown.alerts.create(kind="failed-payment", text="Offer help.", raised_at=NOW)
    later = in_days(3)
    assert f'href="/alerts/?account={shown.pk}"' in get(browser, shown).text
    for action, values, words in (
        ("acknowledge", {}, "Ann Ames is on it"),
        ("snooze", {"until": str(later), "seen": ""}, "snoozed until 24 Nov"),
        ("wake", {}, "Snooze"),
        ("resolve", {"resolution": "Wrote to them"}, "Ann Ames resolved Payment failed Wrote to them"),
    ):
        answer = post(browser, f"alert_{action}", alert, **values)
        assert answer.status_code == 200
        assert words in said(answer)
        assert 'hx-target="#count-alerts"' in answer.text
    undo = toast(answer)["undo"]
    assert post(browser, "alert_resolve", alert, resolution="Again").status_code == 409
    assert "Offer help." in browser.post(undo["url"], undo["values"]).text
    alert.refresh_from_db()
    assert (alert.resolved_at, alert.acknowledged_by) == (None, me)


def test_who_wrote_or_was_named_elsewhere_is_shown_by_the_name_they_had_there(browser):
    shown = account(Stage.NEW)
    shown.notes.create(text="Hello", author_reported="Ola Old", created_at=NOW)
    shown.tasks.create(
        title="Call", due_on=in_days(1), assignee_reported="Pia Past", created_at=NOW, external_id="t-1"
    )
    page = said(get(browser, shown))
    assert "Ola Old wrote a note" in page
    assert "An import added the task Call for Pia Past, due 22 Nov" in page
    assert "22 Nov, tomorrow · Pia Past" in page


def test_undo_is_shown_while_the_last_move_can_still_be_undone(browser, me, time_machine):
    shown = account(Stage.NEW)

    def offered():
        return f'action="/accounts/{shown.pk}/undo/"' in get(browser, shown).text

    assert not offered()
    shown.move(Stage.INITIATED, by=me, now=NOW, cause="account")
    assert offered()
    time_machine.move_to(NOW + timedelta(minutes=9, seconds=59), tick=False)
    browser.force_login(me)
    assert offered()
    time_machine.move_to(NOW + timedelta(minutes=10), tick=False)
    assert not offered()
    assert post(browser, "undo", shown, transition=shown.transitions.first().pk, version=2).status_code == 409


def test_ones_own_note_is_changed_and_a_colleagues_is_not(browser, me):
    shown = account(Stage.NEW)
    mine, theirs = shown.add_note("Old", by=me, now=NOW), shown.add_note("Not mine", by=user(), now=NOW)
    assert post(browser, "note_edit", shown, mine.pk, text="New", seen="").status_code == 200
    assert Note.objects.filter(pk=mine.pk, text="New", edited_at=NOW).exists()
    assert post(browser, "note_edit", shown, theirs.pk, text="Mine now").status_code == 404
    assert post(browser, "note_edit", account(), mine.pk, text="Elsewhere").status_code == 404
    assert post(browser, "note_edit", shown, mine.pk, text=" ", seen=NOW.isoformat()).status_code == 422
    assert set(Note.objects.values_list("text", flat=True)) == {"New", "Not mine"}
    stale = post(browser, "note_edit", shown, mine.pk, text="From the other window", seen="")
    assert stale.status_code == 409
    assert "Theirs, as it is now New Mine From the other window" in said(stale)
    assert Note.objects.get(pk=mine.pk).text == "New"


def test_contacts_come_with_who_decides_first_and_who_must_not_be_written_to_last(browser):
    shown = account(Stage.NEW)
    for name, role, never in (
        ("Nia", "Owner", True),
        ("Eve", "Engineer", False),
        ("Ada", "Admin", False),
        ("Oli", "owner", False),
    ):
        Contact.objects.create(
            account=shown, email=f"{name.lower()}@acme.example", name=name, role=role, do_not_contact=never
        )
    assert [contact.name for contact in shown.contacts.ranked()] == ["Oli", "Ada", "Eve", "Nia"]
    page = get(browser, shown).text
    assert 'data-copies="oli@acme.example"' in page
    assert 'data-copies="nia@acme.example"' not in page


def test_a_change_made_over_the_list_draws_the_row_behind_it_too(browser):
    shown = account(Stage.NEW)
    answer = post(browser, "move", shown, to="initiated", behind="list")
    assert 'hx-target="#account"' in answer.text
    assert f'hx-target="#a{shown.pk}"' in answer.text
    assert shown.transitions.first().cause == "account"
    assert post(browser, "note", shown, text="x", behind="nowhere").status_code == 200
