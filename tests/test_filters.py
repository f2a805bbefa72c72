"""What the query string asks for: every filter, alone and together, and everything that cannot be understood."""

from datetime import timedelta

import pytest
from django.http import QueryDict

from apps.crm.filters import RENEWS, SORTS, AccountFilter, DailyFilter
from apps.crm.models import AccountLabel, Alert, Contact, Label, Policy
from apps.crm.pipeline import STAGES, Stage
from tests.factories import NOW, account, in_days, user

pytestmark = pytest.mark.django_db


def read(query, *, of=AccountFilter, user=None, **more):
    return of(QueryDict(query), numbers=Policy.at(NOW), user=user, **more)


def names(query, **more):
    return {found.name for found in read(query, **more).qs}


def test_a_search_finds_words_anywhere_in_name_domain_and_external_id_in_any_case():
    account(name="Blue Harbor Analytics", domain="blueharbor.example", external_id="org_771")
    account(name="Red Stone", domain="redstone.example", external_id="org_772")
    for query in ("q=harbor", "q=HARB", "q=blueharbor.ex", "q=org_771", "q=analytics+blue", "q=%20blue%20"):
        assert names(query) == {"Blue Harbor Analytics"}, query
    assert names("q=blue+stone") == set()


def test_one_or_two_letters_are_the_beginning_of_a_name():
    account(name="Åland Ferries")
    account(name="Landmark")
    account(name="Lund Tools")
    assert names("q=l") == {"Landmark", "Lund Tools"}
    assert names("q=LA") == {"Landmark"}
    assert names("q=å") == {"Åland Ferries"}


def test_signs_that_mean_something_to_like_are_only_letters():
    account(name="100% Cotton_Works \\ Co")
    account(name="100 Cotton Works")
    for query in ("q=100%25", "q=n_w", "q=%5C+co", "q=%25+"):
        assert names(query) <= {"100% Cotton_Works \\ Co"}, query
    assert names("q=100%25") == {"100% Cotton_Works \\ Co"}


def test_a_contacts_whole_address_finds_all_their_accounts():
    for name in ("One", "Two"):
        Contact.objects.create(account=account(name=name), email="sam@both.example")
    account(name="Other")
    assert names("q=Sam@Both.example") == {"One", "Two"}
    assert names("q=am@both.example") == set()


def test_stages_add_up_and_outside_is_one_of_them():
    for stage in (*STAGES, Stage.OUTSIDE):
        account(stage, name=str(stage) or "outside")
    assert names("stage=new&stage=churned&stage=outside") == {"new", "churned", "outside"}
    assert names("") == {*map(str, STAGES), "outside"}


def test_the_daily_list_shows_open_stages_unless_it_is_asked_for_others_or_for_a_name():
    account(Stage.NEW, name="Open one")
    account(Stage.CHURNED, name="Closed one")
    account(name="Outside one")
    assert names("", of=DailyFilter) == {"Open one"}
    assert names("stage=churned", of=DailyFilter) == {"Closed one"}
    assert names("q=one", of=DailyFilter) == {"Open one", "Closed one", "Outside one"}


def test_owner_is_me_nobody_or_a_colleague_by_id():
    me, other = user(), user()
    account(name="Mine", owner=me)
    account(name="Theirs", owner=other)
    account(name="Free")
    assert names("owner=me", user=me) == {"Mine"}
    assert names("owner=none", user=me) == {"Free"}
    assert names(f"owner={other.pk}", user=me) == {"Theirs"}


def test_every_renewal_falls_into_exactly_one_window():
    for days in (-400, -1, 0, 10, 11, 14, 15, 30, 31, 400):
        account(name=str(days), next_renewal_on=in_days(days))
    account(name="none", next_renewal_on=None)
    found = {window: names(f"renews={window}") for window in RENEWS}
    assert found == {
        "overdue": {"-400", "-1"},
        "0-10": {"0", "10"},
        "11-14": {"11", "14"},
        "15-30": {"15", "30"},
        "later": {"31", "400"},
        "none": {"none"},
    }


def test_label_plan_risk_alert_and_task_narrow_together():
    me = user()
    wanted = account(Stage.NEW, name="Wanted", plan="yc", payment_risk="high")
    AccountLabel.objects.create(account=wanted, label=Label.objects.create(name="Fast track"))
    Alert.objects.create(account=wanted, kind="missed-outreach", text="…", raised_at=NOW)
    wanted.add_task("Call", in_days(0), by=None, now=NOW)
    account(Stage.NEW, name="Other", plan="yc")
    for query in (
        "label=Fast+track",
        "plan=yc&risk=high",
        "alert=any",
        "alert=missed-outreach",
        "task=today",
        "task=week",
        "label=Fast+track&plan=yc&risk=high&alert=any&task=today&stage=new",
    ):
        assert names(query, user=me) == {"Wanted"}, query
    assert names("task=overdue", user=me) == set()
    assert names("risk=none") == {"Other"}


def test_write_now_is_a_filter():
    account(Stage.NEW, name="Renews soon", next_renewal_on=in_days(14))
    account(Stage.NEW, name="Waits a week", since=NOW - timedelta(days=7), next_renewal_on=in_days(90))
    account(Stage.NEW, name="Has time", next_renewal_on=in_days(15))
    account(Stage.INITIATED, name="Written to", next_renewal_on=in_days(5))
    assert names("write=now") == {"Renews soon", "Waits a week"}


@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "q=" + "x" * 10_240,
        "owner=99999999999999999999",
        "owner=-1",
        "owner=%00",
        "owner=%D9%A1",
        "label=%00nothing",
        "label=" + "x" * 10_240,
        "stage=nirvana",
        "stage=%00",
        "plan=gold",
        "renews=yesterday",
        "risk=%27%3B--",
        "alert=99",
        "task=now",
        "sort=password",
        "sort=--renewal",
        "sort=owner__password",
        "page=-1",
        "%00=1",
        "owner__password=x",
    ],
)
def test_what_cannot_be_understood_is_ignored_with_one_sentence(query):
    account(name="Still here")
    read_it = read(query, user=user())
    assert [found.name for found in read_it.qs] == ["Still here"]
    assert len(read_it.notices) == 1
    assert read_it.notices[0].endswith(".")
    assert read_it.notices[0].isprintable()
    assert len(read_it.notices[0]) < 160
    assert read_it.chosen == []
    assert read_it.order.name == "renewal"


def test_an_unknown_stage_beside_a_known_one_leaves_the_known_one():
    account(Stage.NEW, name="New")
    account(Stage.CHURNED, name="Gone")
    read_it = read("stage=new&stage=nirvana")
    assert [found.name for found in read_it.qs] == ["New"]
    assert read_it.notices == ["Stage “nirvana” is not known here, so it was ignored."]
    assert [chosen.words for chosen in read_it.chosen] == ["Stage: 1. New Account"]


def test_empty_values_of_a_form_say_nothing():
    account(name="Here")
    read_it = read("q=&stage=&owner=&label=&plan=&renews=&risk=&alert=&task=&sort=")
    assert [found.name for found in read_it.qs] == ["Here"]
    assert read_it.notices == []


def test_every_order_is_known_in_both_directions():
    for name in SORTS:
        for given in (name, f"-{name}"):
            read_it = read(f"sort={given}")
            assert (read_it.order.name, read_it.notices) == (given, [])


def test_a_page_may_read_parameters_of_its_own():
    assert read("cursor=abc", also=("cursor",)).notices == []
    assert read("cursor=abc").notices == ["There is no filter “cursor”, so it was ignored."]


def test_reading_costs_no_more_queries_with_more_filters(django_assert_max_num_queries):
    me = user()
    for name in ("a", "b", "c"):
        Label.objects.create(name=name)
    numbers = Policy.at(NOW)
    with django_assert_max_num_queries(4):
        everything = AccountFilter(
            QueryDict(
                "q=sam@both.example&stage=new&stage=churned&owner=me&label=a&plan=yc&renews=0-10&risk=high"
                "&alert=any&task=week&write=now&sort=-owner"
            ),
            numbers=numbers,
            user=me,
        )
        assert list(everything.qs) == []
        assert len(everything.chosen) == 11
