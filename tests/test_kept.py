"""Questions that are written once answer as the queries they were written from, whatever is given and has changed."""

from datetime import timedelta

import pytest
from django.db import models, transaction
from django.http import QueryDict

from apps.crm.filters import SORTS, DailyFilter
from apps.crm.kept import NOW as NOW_
from apps.crm.kept import Given, Kept, still, written
from apps.crm.keyset import Order, page, shares
from apps.crm.models import Account, Label, Policy, Task, User
from apps.crm.people import everybody, signed_in
from apps.crm.pipeline import Stage
from apps.web.environment import bar_of
from apps.web.views.daily import PILES, piles
from tests.factories import NOW, account, user

pytestmark = pytest.mark.django_db


def test_a_question_is_written_once_and_sees_what_has_changed_since():
    wrote = []

    def write():
        wrote.append(1)
        return Label.objects.filter(name__startswith=Given("begin", models.TextField())).values_list("name")

    asked = Kept(write)
    assert asked.rows(begin="a") == []
    Label.objects.bulk_create([Label(name="api"), Label(name="beta")])
    assert asked.rows(begin="a") == [("api",)]
    assert asked.dicts(begin="b") == [{"name": "beta"}]
    assert wrote == [1]


def test_values_that_stand_in_the_text_keep_every_mark_of_theirs():
    odd = "50% off, 'said' \"she\" \\ %s {x} ü"
    Label.objects.create(name=odd)
    asked = Kept(
        lambda: Label.objects.filter(name=odd, pk__gt=Given("pk", models.BigIntegerField())).values_list(
            "name"
        )
    )
    assert asked.rows(pk=0) == [(odd,)]
    assert Kept(lambda: Label.objects.filter(name=odd).values_list("name")).rows() == [(odd,)]


def test_what_can_never_be_found_is_not_asked_for(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert Kept(lambda: Label.objects.filter(pk__in=[]).values_list("pk")).rows() == []


def test_so_many_questions_are_kept_and_those_asked_last():
    wrote = []

    def write(name):
        wrote.append(name)
        return Label.objects.filter(name=name).values_list("pk")

    asked = Kept(write, most=2)
    for name in ("a", "b", "a", "c", "a", "b"):
        asked.rows(name, by=name)
    assert wrote == ["a", "b", "c", "b"]


def test_people_and_what_awaits_them_are_those_of_now_and_of_the_one_who_asks():
    dan, eve = user(username="dan"), user("viewer", username="eve")
    assert [*User.objects.names()] == [dan.pk, eve.pk]
    assert everybody() == {dan.pk: "dan", eve.pk: "eve"}
    Task.objects.create(account=account(), title="Call", due_on=NOW.date(), assignee=dan, created_at=NOW)
    assert (bar_of(dan).counts["tasks"], bar_of(eve).counts["tasks"]) == ("1", "")
    seen = signed_in(dan.pk)
    assert (seen, seen.username, seen.roles, seen._state.adding) == (dan, "dan", {"specialist"}, False)
    User.objects.filter(pk=dan.pk).update(is_active=False)
    assert signed_in(dan.pk) is None
    User.objects.filter(pk=eve.pk).update(first_name="Eve")
    assert [*everybody().items()] == [(dan.pk, "dan"), (eve.pk, "Eve")]


def test_the_piles_counted_in_one_reading_are_as_large_as_what_their_links_show():
    me, numbers = user(username="dan"), Policy.at(NOW)
    made = [
        account(stage) for stage in (Stage.NEW, Stage.AWAITING_FINAL_OUTREACH, Stage.INITIATED, Stage.CHURNED)
    ]
    facts = {"owner": me, "open_alerts": 1, "next_task_on": numbers.today, "last_reply_at": NOW}
    Account.objects.filter(pk__in=[one.pk for one in made]).update(**facts)
    Account.objects.filter(pk=made[2].pk).update(snoozed_until=numbers.today + timedelta(days=2))
    Account.objects.filter(pk=made[0].pk).update(next_renewal_on=numbers.today)
    [counted] = shares(Account.objects.in_open_stages(), piles(numbers, me)).dicts()
    assert counted == {key: rows.count() for key, rows in piles(numbers, me).items()}
    assert counted["mine"] == 2
    assert (counted["snoozed"], counted["new"], counted["write"]) == (1, 1, 1)
    assert counted.keys() == {pile.key for pile in PILES}


def test_what_stands_in_another_table_is_not_counted_in_one_reading():
    with pytest.raises(ValueError, match="the table itself"):
        shares(Account.objects.all(), {"noted": Account.objects.filter(notes__text="x")})


@pytest.mark.parametrize("name", ["renewal", "-renewal", "forecast", "-name", "stage"])
def test_pages_of_a_kept_question_are_those_of_the_query(name):
    for number in range(7):
        one = account(Stage.NEW, name=f"Acme {number % 3}")
        known = {"next_renewal_on": NOW.date() + timedelta(days=number % 4), "forecast": number % 2 * 10}
        Account.objects.filter(pk=one.pk).update(
            **(known if number < 5 else {"next_renewal_on": None, "forecast": None})
        )
    order, rows = Order(name, SORTS[name.removeprefix("-")]), Account.objects.values("pk", "name")
    cursor, seen = "", []
    while True:
        plain = page(rows, order, cursor=cursor, size=2)
        assert page(lambda: rows, order, cursor=cursor, size=2, by="all") == plain
        seen += [row["pk"] for row in plain.rows]
        if not plain.next:
            break
        cursor = plain.next
    assert len(seen) == len(set(seen)) == 7


def test_what_a_list_asks_for_is_the_same_only_where_all_it_depends_on_is():
    dan, eve = user(username="dan"), user(username="eve")

    def same(query, who=dan, now=NOW):
        return DailyFilter(QueryDict(query), numbers=Policy.at(now), user=who).same

    assert same("") == same("sort=name", eve, NOW + timedelta(minutes=1))
    assert same("owner=me") != same("owner=me", eve)
    assert same("fresh=1") != same("fresh=1", eve)
    assert (
        len(
            {
                same(""),
                same("stage=new"),
                same("stage=new&stage=churned"),
                same("", now=NOW + timedelta(days=1)),
            }
        )
        == 4
    )
    assert same("q=acme") is None
    before = same("")
    Policy.objects.create(name="outreach_after_entry_days", value="3", starts_on=NOW.date())
    assert same("") != before


@pytest.mark.django_db(transaction=True)
def test_an_answer_stands_until_something_is_written(django_assert_num_queries):
    text = written(Label.objects.values_list("name").order_by("name"))

    def answer():
        [(mark,)] = NOW_.ask()
        return still(text, mark)

    assert answer() == []
    with django_assert_num_queries(1):
        assert answer() == []
    Label.objects.create(name="api")
    assert answer() == [("api",)]
    with transaction.atomic():
        Label.objects.create(name="beta")
        # Its own changes have no mark yet.
        assert answer() == [("api",), ("beta",)]
        transaction.set_rollback(True)
    assert answer() == [("api",)]


def test_a_filter_by_what_is_not_known_yet_narrows_once_it_is():
    me, numbers = user(username="dan"), Policy.at(NOW)

    def asked():
        return DailyFilter(QueryDict("label=Later"), numbers=numbers, user=me)

    before = asked()
    Label.objects.create(name="Later")
    assert (before.notices, asked().notices) == (["Label “Later” is not known here, so it was ignored."], [])
    assert before.same != asked().same
    assert asked().same == asked().same
