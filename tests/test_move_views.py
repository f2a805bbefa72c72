"""The addresses that move an account: what each answers, and that a refusal changes nothing."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.crm.models import Account, AuditPoint, Note, StageTransition, Task
from apps.crm.models.audit import POINTS
from apps.crm.options import options
from apps.crm.pipeline import STAGES, Stage
from tests.answers import toast
from tests.factories import NOW, account, in_days, snapshot, user, with_facts

pytestmark = pytest.mark.django_db

POSTS = ("move", "undo", "leave_paid_call", "note", "task", "assign")


@pytest.fixture
def me():
    return user()


def post(client, name, of, /, **values):
    return client.post(reverse(f"web:{name}", args=[of.pk]), values)


def stage_of(of):
    return Account.objects.get(pk=of.pk).stage


def test_a_move_answers_with_the_row_and_a_toast_that_can_take_it_back(browser, me):
    moved = account(Stage.NEW, name="Blue Harbor")
    answer = post(browser, "move", moved, to="initiated", version=1, **{"from": "list"})
    row = StageTransition.objects.get(account=moved, version=2)
    assert answer.status_code == 200
    assert (row.from_stage, row.to_stage, row.by, row.cause) == ("new", "initiated", me, "list")
    assert f'<hx-partial hx-target="#a{moved.pk}">' in answer.text
    assert "2. Onboarding Initiated" in answer.text
    assert toast(answer) == {
        "text": "Blue Harbor moved to “2. Onboarding Initiated”.",
        "bad": False,
        "undo": {
            "url": f"/accounts/{moved.pk}/undo/",
            "values": {"transition": row.pk, "version": 2, "from": "list"},
        },
    }


def test_the_toasts_undo_takes_the_move_back(browser):
    moved = account(Stage.INITIATED)
    undo = toast(post(browser, "move", moved, to="engaged_email", version=1))["undo"]
    answer = browser.post(undo["url"], undo["values"])
    after = Account.objects.get(pk=moved.pk)
    assert answer.status_code == 200
    assert (after.stage, after.version, after.engaged_at) == ("initiated", 3, None)
    assert toast(answer)["text"].endswith("is back in “2. Onboarding Initiated”.")
    assert "undo" not in toast(answer)


def test_where_the_form_stands_is_the_cause_and_what_is_drawn(browser):
    for origin, drawn in (("list", 'hx-target="#a'), ("account", 'hx-target="#account"')):
        moved = account(Stage.NEW)
        answer = post(browser, "move", moved, to="initiated", **{"from": origin})
        assert drawn in answer.text
        assert moved.transitions.first().cause == origin
    moved = account(Stage.NEW)
    post(browser, "move", moved, to="initiated", **{"from": "playbook:made-up"})
    assert moved.transitions.first().cause == "account"


@pytest.mark.parametrize("source", [*STAGES, Stage.OUTSIDE])
def test_every_pair_of_stages_is_answered_as_the_pipeline_says(browser, source):
    for target in STAGES:
        moved = with_facts(source, engaged=target != Stage.ONBOARDED_NO_ENGAGEMENT, intro_call=True)
        offered = {option.to: option for option in options(moved)}.get(target)
        before = snapshot(moved)
        answer = post(browser, "move", moved, to=target, version=moved.version, reason="Because")
        if offered is None:
            assert answer.status_code == 204
            assert snapshot(moved) == before
        elif offered.permitted:
            assert (answer.status_code, stage_of(moved)) == (200, target)
        else:
            assert (answer.status_code, toast(answer)["text"]) == (409, offered.refusal)
            assert toast(answer)["bad"]
            assert "hx-partial" in answer.text
            assert snapshot(moved) == before


def test_the_same_stage_is_no_content_with_a_current_or_no_version(browser):
    here = account(Stage.NEW)
    before = snapshot(here)
    for version in ({}, {"version": 1}, {"version": ""}):
        assert post(browser, "move", here, to="new", **version).status_code == 204
    assert snapshot(here) == before


def test_whoever_comes_second_is_told_who_was_first_also_when_both_wanted_the_same(browser):
    first = user(first_name="Dan", last_name="Ohm")
    moved = account(Stage.NEW)
    moved.move(Stage.INITIATED, by=first, now=NOW, cause="board")
    before = snapshot(moved)
    for to in ("initiated", "call_booked", "new"):
        answer = post(browser, "move", moved, to=to, version=1)
        assert answer.status_code == 409
        assert toast(answer)["text"] == "Dan Ohm moved it to “2. Onboarding Initiated” first."
        assert "2. Onboarding Initiated" in answer.text
    assert snapshot(moved) == before


def test_the_same_form_sent_twice_moves_once(browser):
    moved = account(Stage.NEW)
    answers = [post(browser, "move", moved, to="initiated", version=1).status_code for _ in range(2)]
    assert answers == [200, 409]
    assert moved.transitions.count() == 2


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"to": ""},
        {"to": "nirvana"},
        {"to": "outside"},
        {"to": "\x00"},
        {"to": ["initiated", "churned"]},
        {"to": ["initiated", "initiated"]},
        {"to": "initiated", "version": "x"},
        {"to": "initiated", "version": "-1"},
        {"to": "initiated", "version": "9" * 20},
        {"to": "initiated", "reason": "\x00"},
        {"to": "initiated", "reason": "x" * 20_001},
        {"to": "churned"},
        {"to": "churned", "reason": "  \n "},
        {"to": "sales_handoff", "reason": ""},
    ],
)
def test_a_form_that_cannot_be_used_is_422_with_a_sentence(browser, values):
    moved = account(Stage.NEW)
    before = snapshot(moved)
    answer = post(browser, "move", moved, **values)
    assert answer.status_code == 422
    assert toast(answer)["text"].endswith((".", ")."))
    assert "<p class=" in answer.text
    assert snapshot(moved) == before


def test_a_missing_reason_says_so_by_its_code(browser):
    answer = post(browser, "move", account(Stage.NEW), to="churned")
    assert toast(answer)["code"] == "reason_required"
    assert toast(answer)["text"] == "“6d. Churned” needs a reason."


def test_words_that_came_from_people_are_inert_in_the_answer(browser):
    moved = account(Stage.NEW, name="<script>alert(1)</script>")
    answer = post(browser, "move", moved, to="<img src=x onerror=alert(1)>")
    assert "<img" not in answer.text
    answer = post(browser, "move", moved, to="initiated", **{"from": "list"})
    assert "<script" not in answer.text
    assert answer.headers["HX-Trigger"].isascii()


def test_a_paid_call_is_left_to_where_the_account_stood(browser):
    moved = account(Stage.ENGAGED_EMAIL)
    post(browser, "move", moved, to="paid_call_purchased")
    answer = post(browser, "leave_paid_call", moved, version=2, **{"from": "list"})
    assert (answer.status_code, stage_of(moved)) == (200, "engaged_email")
    assert moved.transitions.first().cause == "list"
    before = snapshot(moved)
    answer = post(browser, "leave_paid_call", moved)
    assert (answer.status_code, snapshot(moved)) == (409, before)
    assert "no paid call to leave" in toast(answer)["text"]


def test_undo_needs_the_move_that_was_seen(browser, me):
    moved = account(Stage.NEW)
    before = snapshot(moved)
    for values in ({}, {"transition": "x"}, {"transition": "9" * 20}, {"transition": "-1"}):
        assert post(browser, "undo", moved, **values).status_code == 422
    assert post(browser, "undo", moved, transition=10**15).status_code == 409
    assert snapshot(moved) == before
    mine = post(browser, "move", moved, to="initiated")
    # One's own again, so that nothing else would refuse it; with the version that was seen, and without.
    Account.objects.get(pk=moved.pk).move(Stage.CALL_BOOKED, by=me, now=timezone.now(), cause="board")
    before = snapshot(moved)
    undo = toast(mine)["undo"]
    for values in (undo["values"], undo["values"] | {"version": ""}):
        answer = browser.post(undo["url"], values)
        assert (answer.status_code, snapshot(moved)) == (409, before)


def test_somebody_elses_move_is_theirs_to_undo(browser):
    moved = account(Stage.NEW)
    row = moved.move(Stage.INITIATED, by=user(), now=NOW, cause="board")
    before = snapshot(moved)
    answer = post(browser, "undo", moved, transition=row.pk, version=2)
    assert (answer.status_code, snapshot(moved)) == (409, before)
    assert "only they can undo it" in toast(answer)["text"]


@pytest.mark.parametrize("role", ["viewer", "revenue"])
def test_who_may_only_look_is_refused_at_every_address(client, role):
    client.force_login(user(role))
    shown = account(Stage.NEW)
    before = snapshot(shown)
    for name in POSTS:
        assert post(client, name, shown, to="initiated", text="x", title="x").status_code == 403
    for name in ("move", "note", "task", "assign"):
        assert client.get(reverse("web:form", args=[shown.pk, name])).status_code == 403
    assert snapshot(shown) == before


@pytest.mark.parametrize("role", ["specialist", "lead", "admin"])
def test_who_works_the_pipeline_may_move(client, role):
    client.force_login(user(role))
    moved = account(Stage.NEW)
    assert post(client, "move", moved, to="initiated").status_code == 200


def test_without_a_login_nothing_answers_but_the_login(client):
    shown = account(Stage.NEW)
    before = snapshot(shown)
    for name in POSTS:
        address = reverse(f"web:{name}", args=[shown.pk])
        assert client.post(address).headers["Location"].startswith("/accounts/login/")
        assert client.post(address, headers={"HX-Request": "true"}).status_code == 401
    assert snapshot(shown) == before


def test_a_form_without_its_token_is_refused(me):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(me)
    moved = account(Stage.NEW)
    assert post(strict, "move", moved, to="initiated").status_code == 403
    assert stage_of(moved) == "new"


def test_post_addresses_answer_a_get_with_405_and_change_nothing(browser):
    shown = account(Stage.NEW)
    for name in POSTS:
        assert browser.get(reverse(f"web:{name}", args=[shown.pk]), {"to": "initiated"}).status_code == 405
    assert browser.post("/").status_code == 405
    assert stage_of(shown) == "new"


@pytest.mark.parametrize("pk", ["0", "999999999", "9" * 20])
def test_an_account_that_is_not_here_is_404(browser, pk):
    for name in ("move", "undo", "leave-paid-call", "note", "task", "assign"):
        assert browser.post(f"/accounts/{pk}/{name}/", {"to": "new"}).status_code == 404
    assert browser.get(f"/accounts/{pk}/").status_code == 404
    assert browser.get(f"/accounts/{pk}/forms/move/").status_code == 404


def test_a_note_is_kept_with_its_author_and_counted(browser, me):
    shown = account(Stage.NEW)
    answer = post(browser, "note", shown, text="They use feature flags.", kind="goals", **{"from": "list"})
    note = Note.objects.get(account=shown)
    assert (answer.status_code, note.text, note.kind, note.author) == (
        200,
        "They use feature flags.",
        "goals",
        me,
    )
    assert Account.objects.get(pk=shown.pk).notes_count == 1
    assert f'hx-target="#a{shown.pk}"' in answer.text


@pytest.mark.parametrize(
    "values", [{}, {"text": " "}, {"text": "x" * 20_001}, {"text": "\x00"}, {"text": "x", "kind": "?"}]
)
def test_a_note_that_says_nothing_usable_is_422(browser, values):
    shown = account(Stage.NEW)
    assert post(browser, "note", shown, **values).status_code == 422
    assert not shown.notes.exists()


def test_a_task_is_due_by_a_day_and_shows_in_the_row(browser, me):
    shown = account(Stage.NEW)
    due = in_days(400)
    answer = post(
        browser, "task", shown, title="Call", due_on=due.isoformat(), assignee=me.pk, **{"from": "list"}
    )
    task = Task.objects.get(account=shown)
    assert (answer.status_code, task.title, task.due_on, task.assignee, task.created_by) == (
        200,
        "Call",
        due,
        me,
        me,
    )
    assert Account.objects.get(pk=shown.pk).next_task_on == due


@pytest.mark.parametrize(
    "wrong",
    [{"title": ""}, {"title": "x" * 301}, {"due_on": ""}, {"due_on": "2026-02-30"}, {"due_on": "99999-01-01"},
     {"due_on": "٢٠٢٦-01-01x"}, {"assignee": "9" * 20}, {"assignee": "x"}],
)  # fmt: skip
def test_a_task_that_is_not_one_is_422(browser, wrong):
    shown = account(Stage.NEW)
    values = {"title": "Call", "due_on": "2026-12-01"} | wrong
    assert post(browser, "task", shown, **values).status_code == 422
    assert not shown.tasks.exists()


def test_an_account_is_given_to_a_colleague_or_to_nobody(browser):
    shown, dan = account(Stage.NEW), user(first_name="Dan")
    assert toast(post(browser, "assign", shown, owner=dan.pk))["text"].endswith("owner Dan.")
    assert Account.objects.get(pk=shown.pk).owner == dan
    assert post(browser, "assign", shown, owner="").status_code == 200
    assert Account.objects.get(pk=shown.pk).owner is None


def test_an_account_is_not_given_to_who_only_looks_nor_over_a_colleagues_edit(browser, me):
    shown, viewer = account(Stage.NEW), user("viewer")
    for owner in (viewer.pk, "9" * 20, "x"):
        assert post(browser, "assign", shown, owner=owner).status_code == 422
    seen = shown.changed_at
    shown.edit(now=seen + timedelta(minutes=1), domain="new.example")
    before = snapshot(shown)
    assert post(browser, "assign", shown, owner=me.pk, seen=seen.isoformat()).status_code == 409
    assert snapshot(shown) == before
    assert post(browser, "assign", shown, owner=me.pk, seen=shown.changed_at.isoformat()).status_code == 200


@pytest.mark.parametrize("origin", ["board", "list", "account"])
def test_a_close_is_followed_by_a_reminder_of_the_open_audit_never_hindered_by_it(browser, me, origin):
    closed = account(Stage.AWAITING_FINAL_OUTREACH, name="Blue Harbor")
    answer = post(browser, "move", closed, to="onboarded_no_engagement", version=1, **{"from": origin})
    points = len(POINTS)
    assert (answer.status_code, stage_of(closed)) == (200, "onboarded_no_engagement")
    assert toast(answer)["text"] == (
        "Blue Harbor moved to “6a. Onboarded — No Engagement”."
        f" {points} of {points} points of the audit are open."
    )
    assert toast(answer)["link"] == {"url": f"/accounts/{closed.pk}/#audit", "text": "Look at them"}
    assert "undo" in toast(answer)


def test_a_close_with_nothing_left_to_audit_says_nothing_of_it(browser, me):
    closed = account(Stage.AWAITING_FINAL_OUTREACH, name="Blue Harbor")
    for what in POINTS:
        AuditPoint.objects.look_at(closed, what, state="done", saving=None, by=me, now=NOW, seen=None)
    answer = post(browser, "move", closed, to="onboarded_no_engagement", version=1)
    assert toast(answer)["text"] == "Blue Harbor moved to “6a. Onboarded — No Engagement”."
    assert "link" not in toast(answer)
