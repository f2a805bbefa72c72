"""Many accounts at once: whom it is about, who stays and why, how it is undone, and that no door has other rules."""

import csv
import io
import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine

from apps.crm.jobs import run_bulk
from apps.crm.models import Account, Bulk, Contact, Label, Notice, StageTransition, Task
from apps.crm.models.bulk import AT_ONCE
from apps.crm.pipeline import Stage
from tests.answers import toast
from tests.factories import NOW, TODAY, account, in_days, snapshot, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


def some(many, stage=Stage.NEW, **fields):
    return [account(stage, **fields) for _ in range(many)]


def ids(accounts):
    return {"ids": ",".join(str(one.pk) for one in accounts)}


def undo(browser, answer):
    return browser.post(toast(answer)["undo"]["url"])


def text_of(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def stages():
    return dict(Account.objects.values_list("pk", "stage"))


def test_a_preview_says_who_would_be_refused_and_why_and_does_nothing(browser):
    going = some(3)
    [closed] = some(1, Stage.CHURNED, name="Gone Ltd")
    before = stages()
    asked = browser.post("/daily/many/move/ask/", ids([*going, closed]))
    assert "2. Onboarding Initiated 3 of 4" in text_of(asked)
    answer = browser.post("/daily/many/move/preview/", {**ids([*going, closed]), "to": "initiated"})
    said = text_of(answer)
    assert "3 of 4 move to “2. Onboarding Initiated”" in said
    assert re.search(r"1: “2\. Onboarding Initiated” is reached from .*, not from 6d\. Gone Ltd", said)
    assert (stages(), Bulk.objects.count()) == (before, 0)


def test_three_that_may_not_go_stay_and_are_named_and_the_others_move_by_the_one_writer(browser, me):
    going, closed = some(17), some(3, Stage.CHURNED, name="Gone Ltd")
    was = [snapshot(one) for one in closed]
    answer = browser.post("/daily/many/move/", {**ids([*going, *closed]), "to": "initiated"})
    bulk = Bulk.objects.get()
    assert toast(answer)["text"].startswith(
        "17 accounts are moved to “2. Onboarding Initiated”. 3 stayed as they were: “2. Onboarding"
    )
    assert [snapshot(one) for one in closed] == was
    rows = StageTransition.objects.filter(account__in=going, to_stage="initiated")
    assert {(row.account_id, row.by, row.cause) for row in rows} == {(one.pk, me, "list") for one in going}
    page = browser.get(toast(answer)["link"]["url"])
    assert text_of(page).count("Gone Ltd") == 3
    assert sum(map(len, bulk.left.values())) == 3


def test_a_move_that_needs_words_asks_for_them_and_without_them_nobody_goes(browser):
    all_of = some(2)
    asked = browser.post("/daily/many/move/preview/", {**ids(all_of), "to": "churned"})
    assert '<textarea name="reason" required' in asked.text
    answer = browser.post("/daily/many/move/", {**ids(all_of), "to": "churned"})
    assert toast(answer)["bad"]
    assert set(stages().values()) == {"new"}
    browser.post("/daily/many/move/", {**ids(all_of), "to": "churned", "reason": "Shut down."})
    assert {row.reason for row in StageTransition.objects.filter(to_stage="churned")} == {"Shut down."}


def test_undo_of_a_bulk_move_takes_back_those_that_nobody_has_moved_since(browser):
    first, second, third = some(3)
    answer = browser.post("/daily/many/move/", {**ids([first, second, third]), "to": "initiated"})
    third.refresh_from_db()
    third.move(Stage.ENGAGED_EMAIL, by=user(first_name="Dan"), now=NOW, cause="board")
    back = undo(browser, answer)
    assert toast(back)["text"].startswith("2 accounts are as before. 1 stayed as it was: Dan moved it")
    assert [stages()[one.pk] for one in (first, second, third)] == ["new", "new", "engaged_email"]
    again = undo(browser, answer)
    assert (again.status_code, toast(again)["text"]) == (422, "It was undone already.")


def test_only_who_did_it_undoes_it_and_not_much_later(browser, client):
    answer = browser.post("/daily/many/move/", {**ids(some(2)), "to": "initiated"})
    before = stages()
    with time_machine.travel(NOW + timedelta(minutes=11), tick=False):
        late = undo(browser, answer)
    assert (late.status_code, toast(late)["text"]) == (422, "You did this more than 10 minutes ago.")
    client.force_login(user())
    assert undo(client, answer).status_code == 404
    assert stages() == before


def test_an_owner_given_to_many_is_told_and_undo_gives_each_back_to_whom_it_had(browser, me):
    dan, eve = user(first_name="Dan"), user(first_name="Eve")
    first, second, third = some(1, owner=eve) + some(1) + some(1, owner=dan)
    answer = browser.post("/daily/many/assign/", {**ids([first, second, third]), "owner": dan.pk})
    text = toast(answer)["text"]
    assert text == "2 accounts are given to Dan. 1 stayed as it was: It has that owner already."
    assert set(Account.objects.values_list("owner", flat=True)) == {dan.pk}
    assert Notice.objects.filter(user=dan).count() == 2
    undo(browser, answer)
    owners = dict(Account.objects.values_list("pk", "owner"))
    assert owners == {first.pk: eve.pk, second.pk: None, third.pk: dan.pk}
    assert Notice.objects.standing().filter(user=dan).count() == 0


def test_undo_leaves_an_account_with_whom_somebody_has_given_it_to_since(browser, me):
    eve, (first, second) = user(first_name="Eve"), some(2)
    answer = browser.post("/daily/many/assign/", {**ids([first, second]), "owner": me.pk})
    second.edit(now=NOW, owner=eve)
    back = undo(browser, answer)
    assert toast(back)["text"] == (
        "1 account is as before. 1 stayed as it was: Somebody has given it to somebody else since."
    )
    assert dict(Account.objects.values_list("pk", "owner")) == {first.pk: None, second.pk: eve.pk}


def test_a_label_is_put_on_and_taken_off_many_in_the_spelling_there_is(browser):
    first, second = some(2)
    first.add_label("EU", now=NOW)
    answer = browser.post("/daily/many/label/", {**ids([first, second]), "name": "eu"})
    assert toast(answer)["text"].startswith("1 account is labelled “eu”.")
    assert [one.name for one in Label.objects.all()] == ["EU"]
    assert second.labels.count() == 1
    undo(browser, answer)
    assert (first.labels.count(), second.labels.count()) == (1, 0)
    off = browser.post("/daily/many/unlabel/", {**ids([first, second]), "name": "EU"})
    assert (first.labels.count(), second.labels.count()) == (0, 0)
    undo(browser, off)
    assert (first.labels.count(), second.labels.count()) == (1, 0)


def test_a_task_for_many_is_counted_on_each_told_and_taken_back(browser, me):
    dan, two = user(first_name="Dan"), some(2)
    sent = {**ids(two), "title": "Call them", "due_on": TODAY.isoformat(), "assignee": dan.pk}
    answer = browser.post("/daily/many/task/", sent)
    assert {(task.title, task.assignee, task.created_by) for task in Task.objects.all()} == {
        ("Call them", dan, me)
    }
    assert set(Account.objects.values_list("next_task_on", flat=True)) == {TODAY}
    assert Notice.objects.filter(user=dan).count() == 2
    undo(browser, answer)
    assert set(Account.objects.values_list("next_task_on", flat=True)) == {None}
    assert Task.objects.filter(dropped=True).count() == 2


def test_all_that_the_filters_show_is_all_of_it_and_no_more_loaded_or_not(browser):
    some(60, plan="yc")
    others = some(3, plan="boost")
    some(1, Stage.CHURNED, plan="yc")
    asked = browser.post("/daily/many/assign/ask/?plan=yc", {"all": "1"})
    chosen = re.search(r'name="ids" value="([\d,]+)"', asked.text)[1].split(",")
    assert len(chosen) == 60
    assert not {*map(str, (one.pk for one in others))} & {*chosen}
    assert "Assign 60 accounts" in text_of(asked)


def test_those_counted_by_the_form_are_changed_whoever_comes_under_the_filter_meanwhile(browser, me):
    some(2, plan="yc")
    asked = browser.post("/daily/many/assign/ask/?plan=yc", {"all": "1"})
    chosen = re.search(r'name="ids" value="([\d,]+)"', asked.text)[1]
    late = account(Stage.NEW, plan="yc")
    browser.post("/daily/many/assign/?plan=yc", {"ids": chosen, "owner": me.pk})
    assert Account.objects.filter(owner=me).count() == 2
    assert not Account.objects.filter(pk=late.pk, owner=me).exists()


def test_more_than_two_hundred_go_on_without_whoever_asked(browser, me, monkeypatch):
    monkeypatch.setattr("apps.crm.models.bulk.AT_ONCE", 2)
    monkeypatch.setattr("apps.crm.models.bulk.SLICE", 2)
    assert AT_ONCE == 200
    going, closed = some(4), some(1, Stage.CHURNED, name="Gone Ltd")
    answer = browser.post("/daily/many/move/", {**ids([*going, *closed]), "to": "initiated"})
    bulk = Bulk.objects.get()
    assert answer.headers["HX-Redirect"] == f"/daily/many/{bulk.pk}/"
    assert {*stages().values()} == {"new", "churned"}
    bulk._slice(NOW)
    page = browser.get(f"/daily/many/{bulk.pk}/")
    assert 'value="40"' in page.text
    assert 'hx-trigger="every 1s"' in browser.get(f"/daily/many/{bulk.pk}/progress/").text
    assert "40% of 5 accounts are moved to “2. Onboarding Initiated”." in text_of(browser.get("/"))
    run_bulk()
    run_bulk()
    assert browser.get(f"/daily/many/{bulk.pk}/progress/").headers["HX-Refresh"] == "true"
    assert StageTransition.objects.filter(to_stage="initiated").count() == 4
    assert "See what came of it" in browser.get("/").text
    over = browser.get(f"/daily/many/{bulk.pk}/")
    assert "4 accounts are moved" in text_of(over)
    assert "Gone Ltd" in over.text
    assert "See what came of it" not in browser.get("/").text
    browser.post(f"/daily/many/{bulk.pk}/undo/")
    run_bulk()
    assert {*stages().values()} == {"new", "churned"}


def test_whoever_lost_the_right_meanwhile_changes_nothing_any_more(browser, me, monkeypatch):
    monkeypatch.setattr("apps.crm.models.bulk.AT_ONCE", 1)
    browser.post("/daily/many/move/", {**ids(some(3)), "to": "initiated"})
    me.groups.clear()
    run_bulk()
    assert {*stages().values()} == {"new"}
    assert [*Bulk.objects.get().left] == ["You may not do that any more."]


@pytest.mark.parametrize("role", ["viewer", "revenue"])
def test_who_may_only_read_changes_nothing_and_is_not_asked(client, role):
    client.force_login(user(role))
    two = some(2)
    before = [snapshot(one) for one in two]
    for name in ("move", "assign", "label", "unlabel", "task"):
        for part in ("", "ask/"):
            assert client.post(f"/daily/many/{name}/{part}", {**ids(two), "to": "churned"}).status_code == 403
        assert f'data-many="{name}"' not in client.get("/").text
    assert client.post("/daily/many/move/preview/", {**ids(two), "to": "churned"}).status_code == 403
    assert client.post("/daily/many/emails/", ids(two)).status_code == 403
    assert [snapshot(one) for one in two] == before


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({}, "Choose some accounts first."),
        ({"ids": "1;2"}, "An id is a whole number."),
        ({"ids": "9" * 30}, "An id is a whole number."),
        ({"all": "1"}, "No account is like that any more."),
    ],
)
def test_what_names_nobody_is_refused_with_a_sentence(browser, sent, sentence):
    answer = browser.post("/daily/many/move/?plan=boost", {**sent, "to": "initiated"})
    assert (answer.status_code, toast(answer)["text"]) == (422, sentence)
    assert Bulk.objects.count() == 0


def test_more_than_can_be_changed_at_once_are_told_to_filter_first(browser, monkeypatch):
    monkeypatch.setattr("apps.web.views.many.MOST", 2)
    some(3)
    assert browser.post("/daily/many/assign/", {"all": "1", "owner": ""}).status_code == 422
    assert browser.post("/daily/many/nonsense/", {"all": "1"}).status_code == 404
    assert Bulk.objects.count() == 0


def test_accounts_that_are_gone_are_left_with_a_word(browser, me):
    [one] = some(1)
    answer = browser.post("/daily/many/assign/", {"ids": f"{one.pk},{one.pk + 999}", "owner": me.pk})
    assert (
        toast(answer)["text"]
        == "1 account is given to Ann Ames. 1 stayed as it was: It is not here any more."
    )


def test_e_mails_are_copied_once_each_but_of_those_who_want_none(browser):
    first, second = some(2)
    for of, email, fields in (
        (first, "ann@a.example", {}),
        (first, "bob@a.example", {"do_not_contact": True}),
        (second, "cy@b.example", {}),
        (second, "dee@b.example", {"unsubscribed_at": NOW}),
        (account(Stage.NEW, plan="boost"), "eve@c.example", {}),
    ):
        Contact.objects.create(account=of, email=email, **fields)
    answer = browser.post("/daily/many/emails/", ids([first, second]))
    assert answer.json() == {"emails": "ann@a.example, cy@b.example", "count": 2, "left": 2}


def test_chosen_accounts_are_exported_in_the_order_and_columns_of_the_list(browser):
    first, second, third = (account(Stage.NEW, name=name, next_renewal_on=in_days(5)) for name in "ABC")
    answer = browser.post("/daily/many/export/?sort=-name&columns=plan", ids([first, third]))
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode().lstrip("\ufeff"))))
    assert [tuple(row.values()) for row in rows] == [
        (third.external_id, "C", ""),
        (first.external_id, "A", ""),
    ]
    assert [*rows[0]] == ["external_id", "name", "plan"]
    assert second.name == "B"


def test_renewal_and_next_task_are_changed_in_their_place_and_a_conflict_shows_both_values(browser, me):
    shown = account(Stage.NEW, next_renewal_on=in_days(20))
    form = browser.get(f"/accounts/{shown.pk}/forms/renewal/?from=list")
    assert f'action="/accounts/{shown.pk}/renewal/"' in form.text
    old = {"seen": shown.changed_at.isoformat(), "from": "list"}
    sent = {**old, "next_renewal_on": in_days(9).isoformat()}
    assert browser.post(f"/accounts/{shown.pk}/renewal/", sent).status_code == 200
    second = browser.post(
        f"/accounts/{shown.pk}/renewal/",
        {**old, "seen": (NOW - timedelta(days=1)).isoformat(), "next_renewal_on": in_days(30).isoformat()},
    )
    assert second.status_code == 409
    assert "on 21 Dec" in second.text
    assert Account.objects.get(pk=shown.pk).next_renewal_on == in_days(9)
    annual = account(Stage.NEW, plan="annual", contract_renewal_on=in_days(40))
    form = browser.get(f"/accounts/{annual.pk}/forms/renewal/?from=list").text
    assert f'action="/accounts/{annual.pk}/contract-renewal/"' in form
    assert in_days(40).isoformat() in form
    assert 'name="title"' in browser.get(f"/accounts/{shown.pk}/forms/next/?from=list").text
    task = shown.add_task("Call", in_days(2), by=me, now=NOW)
    form = browser.get(f"/accounts/{shown.pk}/forms/next/?from=list").text
    assert f'action="/tasks/{task.pk}/day/"' in form
    sent = {"from": "list", "seen": in_days(2).isoformat(), "due_on": in_days(1).isoformat()}
    answer = browser.post(f"/tasks/{task.pk}/day/", sent)
    assert (answer.status_code, f'id="a{shown.pk}"' in answer.text) == (200, True)


def test_all_but_some_is_counted_and_changed_without_them_loaded_or_not(browser, me):
    every = some(60, plan="yc")
    out = [every[0].pk, every[59].pk]
    sent = {"all": "1", "but": ",".join(map(str, out))}
    asked = browser.post("/daily/many/assign/ask/?plan=yc", sent)
    assert "Assign 58 accounts" in text_of(asked)
    preview = browser.post("/daily/many/move/preview/?plan=yc", {**sent, "to": "initiated"})
    assert "All 58 move to" in text_of(preview)
    browser.post("/daily/many/assign/?plan=yc", {**sent, "owner": me.pk})
    assert {*Account.objects.filter(owner=None).values_list("pk", flat=True)} == {*out}
    wrong = browser.post("/daily/many/assign/?plan=yc", {"all": "1", "but": "x", "owner": ""})
    assert (wrong.status_code, toast(wrong)["text"]) == (422, "An id is a whole number.")
    assert Account.objects.filter(owner=me).count() == 58


def test_refusals_that_differ_in_a_day_alone_are_one_rule_with_a_count_and_the_names(browser):
    engaged = some(3, Stage.AWAITING_FINAL_OUTREACH)
    for number, one in enumerate(engaged):
        Account.objects.filter(pk=one.pk).update(engaged_at=NOW - timedelta(days=number), engaged_via="email")
    going = some(1, Stage.AWAITING_FINAL_OUTREACH)
    sent = {**ids([*engaged, *going]), "to": "onboarded_no_engagement"}
    page = browser.post("/daily/many/move/preview/", sent)
    assert "3: Not “No Engagement”: they have engaged." in text_of(page)
    assert all(one.name in page.text for one in engaged)
    answer = browser.post("/daily/many/move/", sent)
    assert toast(answer)["text"].endswith("3 stayed as they were: Not “No Engagement”: they have engaged.")
    [(rule, left)] = Bulk.objects.get().stayed.items()
    assert (rule, sorted(left)) == ("Not “No Engagement”: they have engaged.", [one.pk for one in engaged])
    alone = browser.post("/daily/many/move/preview/", {**ids(engaged[:1]), "to": "onboarded_no_engagement"})
    assert "1: Not “No Engagement”: they have engaged since 2026-11-21." in text_of(alone)


def test_an_undo_that_came_too_late_for_some_is_one_rule_whoever_was_first(browser):
    two = some(2)
    answer = browser.post("/daily/many/move/", {**ids(two), "to": "initiated"})
    for one, name in zip(two, ("Dan", "Eve"), strict=True):
        one.refresh_from_db()
        one.move(Stage.ENGAGED_EMAIL, by=user(first_name=name), now=NOW, cause="list")
    assert toast(undo(browser, answer))["text"] == (
        "Nothing was changed. 2 stayed as they were: Somebody has moved it since."
    )
