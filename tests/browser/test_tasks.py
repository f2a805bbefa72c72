"""The tasks under the hands: keys alone, what may come next, the account slid over them, and two people at one task."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Task
from apps.crm.pipeline import Stage
from tests.browser.conftest import until
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def opened(page, login):
    """Tasks of three accounts, one overdue, one for today, one for later, opened by the specialist they are for."""
    now = timezone.now()
    page.person = login(page)
    for name, ahead in (("Amber", -2), ("Birch", 0), ("Cedar", 12)):
        of = account(Stage.NEW, since=now - timedelta(days=1), name=name)
        of.add_task(
            f"Call {name}", now.date() + timedelta(days=ahead), by=None, now=now, assignee=page.person
        )
    page.goto("/tasks/")
    return page


def row(page, name):
    return page.locator("#task-rows tr", has_text=f"Call {name}")


def link(page, name):
    return row(page, name).locator("th a")


def task_of(name):
    return Task.objects.get(title=f"Call {name}")


def test_the_keys_walk_finish_add_what_comes_next_and_take_it_back(opened, axe):
    axe(opened)
    expect(opened.locator("#count-tasks")).to_have_text("2")
    opened.keyboard.press("j")
    expect(link(opened, "Amber")).to_be_focused()
    opened.keyboard.press("x")
    expect(row(opened, "Amber")).to_have_count(0)
    expect(link(opened, "Birch")).to_be_focused()
    expect(opened.locator("#count-tasks")).to_have_text("1")
    assert task_of("Amber").done_by == opened.person
    axe(opened)
    opened.keyboard.press("2")
    expect(opened.locator("#task-rows")).to_contain_text("Offer a second call")
    expect(opened.locator("#next-tasks")).to_be_empty()
    assert Task.objects.open().filter(account__name="Amber", assignee=opened.person).count() == 1
    expect(link(opened, "Birch")).to_be_focused()
    expect(opened.locator(".toast [data-undo]")).to_have_count(2)
    opened.keyboard.press("z")
    expect(opened.locator("#task-rows")).not_to_contain_text("Offer a second call")
    assert Task.objects.open().count() == 2


def test_two_that_are_finished_before_an_answer_comes_are_both_gone(opened):
    answers = []
    opened.route("**/finish/", lambda route: answers.append((route, route.fetch())))
    for number, name in enumerate(("Amber", "Birch")):
        row(opened, name).get_by_role("button", name="Done").click()
        until(opened, lambda number=number: len(answers) > number)
    for route, answer in answers:
        route.fulfill(response=answer)
    expect(row(opened, "Birch")).to_have_count(0)
    expect(row(opened, "Amber")).to_have_count(0)
    expect(row(opened, "Cedar")).to_have_count(1)
    assert not Task.objects.open().exclude(title="Call Cedar").exists()


def test_undo_puts_a_task_back_in_its_place(opened):
    opened.keyboard.press("j")
    opened.keyboard.press("x")
    expect(row(opened, "Amber")).to_have_count(0)
    expect(opened.locator(".toast [data-undo]")).to_be_visible()
    opened.keyboard.press("z")
    expect(opened.locator("#task-rows tr").first).to_contain_text("Call Amber")
    expect(opened.locator("#count-tasks")).to_have_text("2")
    expect(link(opened, "Birch")).to_be_focused()


def test_another_day_a_colleague_and_other_words_by_keys(opened, axe):
    dan = user(first_name="Dan")
    opened.reload()
    opened.keyboard.press("j")
    opened.keyboard.press("s")
    expect(opened.locator("#form input[type=date]")).to_be_focused()
    axe(opened)
    opened.locator("#form").get_by_role("button", name="Tomorrow").press("Enter")
    expect(row(opened, "Amber")).to_contain_text("tomorrow")
    expect(link(opened, "Amber")).to_be_focused()
    opened.keyboard.press("e")
    opened.locator("#form [name=title]").fill("Call Amber again")
    opened.locator("#form [name=remind_on]").fill("2030-02-01")
    opened.locator("#form button.primary").press("Enter")
    expect(row(opened, "Amber")).to_contain_text("Reminds on 1 Feb 2030")
    expect(link(opened, "Amber")).to_be_focused()
    opened.keyboard.press("a")
    opened.locator("#form select").select_option("Dan")
    opened.locator("#form button.primary").press("Enter")
    expect(row(opened, "Amber")).to_have_count(0)
    done = Task.objects.get(title="Call Amber again")
    assert (done.assignee, str(done.remind_on)) == (dan, "2030-02-01")


def test_whoever_comes_second_is_told_and_sees_what_is_true(opened):
    dan = user(first_name="Dan")
    task_of("Amber").finish(by=dan, now=timezone.now())
    opened.keyboard.press("j")
    opened.keyboard.press("x")
    expect(opened.locator(".toast")).to_contain_text("Dan finished “Call Amber” already.")
    expect(row(opened, "Amber")).to_have_count(0)
    assert task_of("Amber").done_by == dan


def test_the_second_of_two_chooses_between_both_days_of_a_task(opened, axe):
    ahead = timezone.now().date() + timedelta(days=3)
    opened.keyboard.press("j")
    opened.keyboard.press("s")
    expect(opened.locator("#form button").filter(has_text="Today")).to_be_visible()
    Task.objects.filter(title="Call Amber").update(due_on=ahead)
    opened.locator("#form [name=due_on]").fill("2030-02-01")
    opened.locator("#form button.primary").press("Enter")
    expect(opened.locator("#clash")).to_contain_text("due 1 Feb 2030")
    axe(opened)
    assert task_of("Amber").due_on == ahead
    opened.get_by_role("button", name="Keep mine").click()
    expect(opened.locator("#form")).not_to_be_visible()
    expect(row(opened, "Amber")).to_contain_text("1 Feb 2030")
    assert str(task_of("Amber").due_on) == "2030-02-01"


def test_an_account_slides_over_the_tasks_and_both_are_drawn_anew(opened):
    opened.keyboard.press("j")
    opened.keyboard.press("Enter")
    over = opened.locator(".over")
    expect(over.locator("#account-name")).to_have_text("Amber")
    over.get_by_role("button", name="Done: Call Amber").click()
    expect(over.locator("#h-tasks + ul")).to_contain_text("Nothing to do.")
    over.get_by_role("button", name="Circle back").click()
    expect(over.locator("#h-tasks + ul")).to_contain_text("Circle back")
    expect(opened.locator("#task-rows")).to_contain_text("Circle back")
    expect(row(opened, "Amber")).to_have_count(0)
    opened.keyboard.press("Escape")
    expect(over).to_have_count(0)
    expect(opened.locator("#tasks")).to_be_visible()


def test_a_filter_is_a_link_and_g_t_leads_here(opened):
    opened.locator("#task-when").get_by_text("Today").click()
    expect(opened.locator("#task-rows tr")).to_have_count(1)
    assert opened.url.endswith("?due=today")
    opened.goto("/playbooks/")
    opened.keyboard.press("g")
    opened.keyboard.press("t")
    expect(opened.locator("#task-rows tr")).to_have_count(3)


def test_on_a_phone_nothing_runs_out_of_the_page(opened, axe):
    opened.set_viewport_size({"width": 360, "height": 740})
    expect(row(opened, "Amber")).to_be_visible()
    assert opened.evaluate("document.documentElement.scrollWidth") == 360
    axe(opened)
