"""The calls desk: which calls and paid calls it shows, in whose time, and what each action changes and answers."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.crm.calls import LANE_SIZE, paid_calls
from apps.crm.models import Account, Call, CallHost, Policy, Task
from apps.crm.pipeline import Stage
from tests.answers import toast
from tests.factories import account, call, purchase, user

pytestmark = pytest.mark.django_db

# A Saturday, so that weekdays can be told apart.
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ROLES = ("viewer", "revenue", "specialist", "lead", "admin")


@pytest.fixture(autouse=True)
def _clock(time_machine):
    time_machine.move_to(NOW, tick=False)


@pytest.fixture
def me():
    return user(first_name="Mia", last_name="Berg")


def named(name, stage=Stage.CALL_BOOKED, **facts):
    return account(stage, name=name, **facts)


def section(text, heading):
    """The part of the page under the heading with this id."""
    return text.split(f'aria-labelledby="{heading}"')[1].split("</section>")[0]


def names(text):
    return [part.split(">")[1].split("<")[0] for part in text.split('<a class="name"')[1:]]


def shown(client, heading, query=""):
    text = client.get(f"/calls/{query}").text
    return names(section(text, heading)) if f'aria-labelledby="{heading}"' in text else []


def kept(of):
    return (
        Call.objects.values().get(pk=of.pk),
        Account.objects.values().get(pk=of.account_id),
        [*CallHost.objects.filter(call=of).values_list("user", flat=True)],
        [*Task.objects.filter(account=of.account_id).values()],
    )


def test_calls_stand_by_when_they_are_each_in_its_place(browser):
    for name, starts_in in (
        ("Over long ago", -9 * DAY),
        ("Just over", -30 * timedelta(minutes=1)),
        ("Running", -10 * timedelta(minutes=1)),
        ("Soon", HOUR),
        ("Late tonight", 14 * HOUR + timedelta(minutes=59)),
        ("Tomorrow", 15 * HOUR),
        ("In six days", 6 * DAY + 14 * HOUR),
        ("In a week", 6 * DAY + 15 * HOUR),
    ):
        call(named(name), starts_at=NOW + starts_in)
    for status in (Call.Status.HELD, Call.Status.NO_SHOW, Call.Status.CANCELED):
        call(named(status), starts_at=NOW + HOUR, status=status)
    assert shown(browser, "h-mark") == ["Just over", "Over long ago"]
    assert shown(browser, "h-today") == ["Running", "Soon", "Late tonight"]
    assert shown(browser, "h-week") == ["Tomorrow", "In six days"]


def test_days_and_hours_are_the_readers_and_the_contacts_hour_stands_beside(client, me):
    me.time_zone = "Europe/Berlin"
    me.save()
    client.force_login(me)
    amber = named("Amber & Co")
    call(amber, starts_at=NOW + 15 * HOUR, contact_time_zone="America/New_York", contact_email="a@b.example")
    call(named("Birch"), starts_at=NOW + 13 * HOUR, contact_time_zone="Europe/Paris")
    call(named("Cedar"), starts_at=NOW + 13 * HOUR, contact_time_zone="Pacific/Apia")
    text = client.get("/calls/").text
    assert names(section(text, "h-today")) == ["Birch", "Cedar"]
    assert names(section(text, "h-week")) == ["Amber &amp; Co"]
    for words in ("Times are those of Berlin.", "Sun 22 Nov, 01:00", "Sat 19:00 in New York", "a@b.example"):
        assert words in text
    assert "in Paris" not in text
    assert "Sun 11:00 in Apia" in text


def test_paid_calls_stand_in_their_lanes_the_oldest_unbooked_first_and_never_red(browser):
    lanes = {
        "bought": [("Old one", -90 * DAY, None), ("New one", -1 * DAY, None)],
        "booked": [("Soon", -3 * DAY, ("booked", 2 * DAY)), ("Later", -5 * DAY, ("booked", 9 * DAY))],
        "held": [("Just now", -9 * DAY, ("held", -1 * DAY)), ("Before", -9 * DAY, ("held", -2 * DAY))],
        "no_show": [("Missed", -20 * DAY, ("no_show", -9 * DAY))],
    }
    for rows in lanes.values():
        for name, bought, met in rows:
            of = named(name, Stage.PAID_CALL)
            purchase(of, bought_at=NOW + bought)
            if met:
                call(of, "consultation", status=met[0], starts_at=NOW + met[1])
    refunded = named("Given back")
    purchase(refunded, bought_at=NOW - 9 * DAY, refunded_at=NOW - DAY)
    text = browser.get("/calls/").text
    for lane, rows in lanes.items():
        assert names(section(text, f"lane-{lane}")) == [name for name, *_ in rows]
    assert names(section(text, "lane-refunded")) == ["Given back"]
    bought = section(text, "lane-bought")
    assert "Bought 90 days ago" in bought
    assert "bad" not in bought
    assert "wait" not in bought


def test_a_purchase_goes_with_the_call_that_stands_for_it():
    anew, gone, twice, stray, before = (named(name, Stage.PAID_CALL) for name in "ABCDE")
    purchase(anew, bought_at=NOW - 30 * DAY)
    call(anew, "consultation", status="no_show", starts_at=NOW - 20 * DAY)
    call(anew, "consultation", starts_at=NOW + DAY)
    purchase(gone, bought_at=NOW - 30 * DAY)
    call(gone, "consultation", status="canceled", starts_at=NOW - 20 * DAY)
    purchase(twice, bought_at=NOW - 30 * DAY)
    purchase(twice, bought_at=NOW - 29 * DAY)
    call(twice, "consultation", status="held", starts_at=NOW - 20 * DAY)
    call(stray, "consultation", status="held", starts_at=NOW - DAY)
    # The refunded purchase took its call with it; the next one is not booked.
    purchase(before, bought_at=NOW - 30 * DAY, refunded_at=NOW - 15 * DAY)
    call(before, "consultation", status="no_show", starts_at=NOW - 20 * DAY)
    purchase(before, bought_at=NOW - 2 * DAY)
    call(before, "intro", starts_at=NOW + DAY)
    found = {lane: sorted(row.name for row in rows) for lane, rows in paid_calls().items()}
    assert found == {
        "bought": ["B", "C", "E"],
        "booked": ["A"],
        "held": ["C", "D"],
        "no_show": [],
        "refunded": ["E"],
    }


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, "No-show today; credits are offered after 14"),
        (9, "No-show 9 days ago; credits are offered after 14"),
        (13, "No-show 13 days ago; credits are offered after 14"),
        (14, "No-show 14 days ago; credits can be offered"),
        (40, "No-show 40 days ago; credits can be offered"),
    ],
)
def test_the_no_show_timer_counts_from_the_mark(browser, days, words):
    of = named("Amber", Stage.PAID_CALL)
    purchase(of, bought_at=NOW - 60 * DAY)
    at = NOW - days * DAY
    call(of, "consultation", status="no_show", starts_at=NOW - 50 * DAY, marked_at=at)
    assert words in section(browser.get("/calls/").text, "lane-no_show")


def test_the_timer_follows_the_policy(browser):
    Policy.objects.create(name="paid_call_silence_days", value="7", starts_on="2026-01-01")
    of = named("Amber", Stage.PAID_CALL)
    call(of, "consultation", status="no_show", starts_at=NOW - 9 * DAY, marked_at=NOW - 6 * DAY)
    assert "No-show 6 days ago; credits are offered after 7" in browser.get("/calls/").text


@pytest.mark.parametrize(
    ("stage", "before", "ours"),
    [
        (Stage.PAID_CALL, Stage.OUTSIDE, False),
        (Stage.PAID_CALL, Stage.ENGAGED_EMAIL, True),
        (Stage.PAID_CALL, Stage.ONBOARDED_ENGAGED, False),
        (Stage.CALL_BOOKED, Stage.OUTSIDE, True),
        (Stage.ONBOARDED_ENGAGED, Stage.OUTSIDE, False),
        (Stage.OUTSIDE, Stage.OUTSIDE, False),
    ],
)
def test_the_price_is_credited_back_to_who_is_ours_already(browser, stage, before, ours):
    of = named("Amber", stage)
    Account.objects.filter(pk=of.pk).update(stage_before_paid_call=before)
    purchase(of, bought_at=NOW - DAY)
    text = section(browser.get("/calls/").text, "lane-bought")
    assert ("Ours already: credit the price back" in text) == ours
    assert "$200" in text


def test_the_customers_own_person_runs_a_paid_call_and_no_other(browser):
    of = named("Amber", Stage.PAID_CALL, sales_contact_kind="CSM", sales_contact_name="Jane Doe")
    purchase(of, bought_at=NOW - DAY)
    call(of, "consultation", starts_at=NOW + HOUR)
    call(of, "intro", starts_at=NOW + 2 * HOUR)
    text = browser.get("/calls/").text
    assert section(text, "h-today").count("CSM Jane Doe runs the call") == 1
    assert section(text, "lane-booked").count("CSM Jane Doe runs the call") == 1


def test_each_filter_shows_its_own(browser, me):
    mine, other = named("Mine"), named("Other")
    call(mine, "intro", starts_at=NOW + HOUR).add_host(me)
    call(other, "second", starts_at=NOW + HOUR)
    assert shown(browser, "h-today", "?host=me") == shown(browser, "h-today", f"?host={me.pk}") == ["Mine"]
    assert shown(browser, "h-today", "?host=none") == ["Other"]
    assert shown(browser, "h-today", "?kind=second") == ["Other"]
    assert shown(browser, "h-today", "?kind=second&host=me") == []


def test_a_long_lane_is_cut_off_and_can_be_shown_whole(browser):
    of = named("Amber", Stage.PAID_CALL)
    for number in range(LANE_SIZE + 3):
        purchase(of, bought_at=NOW - number * HOUR)
    assert len(shown(browser, "lane-bought")) == LANE_SIZE
    text = browser.get("/calls/").text
    assert "/calls/?lane=bought" in text
    assert f'<span class="count">{LANE_SIZE + 3}</span>' in section(text, "lane-bought")
    assert len(shown(browser, "lane-bought", "?lane=bought")) == LANE_SIZE + 3


@pytest.mark.parametrize(
    ("query", "notice"),
    [
        ("?kind=nonsense", "Kind “nonsense” is not known here, so it was ignored."),
        ("?host=99999999999999999999", "Host “99999999999999999999” is not known here, so it was ignored."),
        ("?lane=gone", "Lane “gone” is not known here, so it was ignored."),
        ("?colour=red", "There is no filter “colour”, so it was ignored."),
        ("?kind=%00&lane=%00", "is not known here, so it was ignored."),
        ("?sort=name", "Sort order “name” is not known here, so it was ignored."),
    ],
)
def test_what_is_not_known_is_ignored_with_a_notice(browser, query, notice):
    call(named("Amber"), starts_at=NOW + HOUR)
    answer = browser.get(f"/calls/{query}")
    assert (answer.status_code, shown(browser, "h-today", query)) == (200, ["Amber"])
    assert notice in answer.text


def test_the_queries_of_the_page_do_not_grow(browser, me):
    def queries():
        with CaptureQueriesContext(connection) as made:
            browser.get("/calls/")
        return len(made)

    def add():
        of = named("Amber", Stage.PAID_CALL)
        purchase(of, bought_at=NOW - 9 * DAY)
        for starts_at in (NOW - DAY, NOW + HOUR, NOW + 2 * DAY):
            made = call(of, "consultation", starts_at=starts_at)
            made.add_host(me)
            made.add_host(user())

    add()
    few = queries()
    for _ in range(8):
        add()
    assert queries() <= few


def test_the_team_link_stands_there_once_it_is_known(browser):
    assert "Team link" not in browser.get("/calls/").text
    Policy.objects.create(name="booking_link", value="https://book.example/team", starts_on="2026-01-01")
    assert 'href="https://book.example/team"' in browser.get("/calls/").text


@pytest.mark.parametrize(
    "value", ["http://book.example", "javascript:alert(1)", "https:book", "book.example"]
)
def test_a_team_link_that_is_no_address_is_refused(value):
    with pytest.raises(ValidationError, match="begins with https://"):
        Policy(name="booking_link", value=value, starts_on="2026-01-01").full_clean()


def test_a_held_call_leaves_the_list_moves_its_account_and_undo_takes_both_back(browser, me):
    held = call(named("Amber"), starts_at=NOW - HOUR)
    answer = browser.post(
        f"/calls/{held.pk}/mark/?host=none", {"status": "held", "seen": "booked", "from": "calls"}
    )
    held.refresh_from_db()
    held.account.refresh_from_db()
    assert (answer.status_code, held.status, held.marked_by) == (200, "held", me)
    assert held.account.stage == Stage.INTRO_CALL_COMPLETED
    assert held.account.transitions.first().cause == "list"
    assert toast(answer)["text"] == ("The call with Amber was held. It moved to “4a. Intro Call Completed”.")
    assert 'hx-target="#desk"' in answer.text
    assert 'href="/accounts/' not in answer.text
    undone = browser.post(toast(answer)["undo"]["url"], toast(answer)["undo"]["values"])
    held.refresh_from_db()
    held.account.refresh_from_db()
    assert (undone.status_code, held.status, held.account.stage) == (200, "booked", Stage.CALL_BOOKED)
    assert names(undone.text) == ["Amber"]


def test_undoing_a_take_back_keeps_the_day_of_the_no_show(browser):
    missed_at = NOW - 9 * DAY
    missed = call(
        named("Amber", Stage.PAID_CALL),
        "consultation",
        status="no_show",
        starts_at=missed_at,
        marked_at=missed_at,
    )
    answer = browser.post(f"/calls/{missed.pk}/mark/", {"status": "booked", "seen": "no_show"})
    assert Call.objects.get(pk=missed.pk).status == "booked"
    browser.post(toast(answer)["undo"]["url"], toast(answer)["undo"]["values"])
    missed.refresh_from_db()
    assert (missed.status, missed.marked_at) == ("no_show", missed_at)


def test_what_was_said_already_is_answered_with_nothing(browser):
    told = call(named("Amber"), status="no_show", starts_at=NOW - HOUR, marked_at=NOW)
    assert browser.post(f"/calls/{told.pk}/mark/", {"status": "no_show"}).status_code == 204


def test_whoever_comes_second_is_told_and_sees_what_is_true(browser):
    told = call(named("Amber"), starts_at=NOW - HOUR)
    Call.objects.get(pk=told.pk).mark(Call.Status.HELD, by=user(first_name="Dan"), now=NOW, cause="list")
    before = kept(told)
    answer = browser.post(f"/calls/{told.pk}/mark/", {"status": "no_show", "seen": "booked", "from": "calls"})
    assert (answer.status_code, kept(told)) == (409, before)
    assert toast(answer)["text"] == "Dan marked it held first."
    assert "undo" not in toast(answer)
    assert 'hx-target="#desk"' in answer.text


def test_a_call_ahead_is_neither_held_nor_missed(browser):
    ahead = call(named("Amber"), starts_at=NOW + HOUR)
    text = section(browser.get("/calls/").text, "h-today")
    assert ('value="canceled"' in text, 'value="held"' in text) == (True, False)
    before = kept(ahead)
    answer = browser.post(f"/calls/{ahead.pk}/mark/", {"status": "held", "seen": "booked"})
    assert (answer.status_code, kept(ahead)) == (409, before)


def test_colleagues_join_and_leave_a_call_with_undo(browser, me):
    shared = call(named("Amber"), starts_at=NOW + HOUR)
    shared.add_host(me)
    dan = user(first_name="Dan")
    answer = browser.post(f"/calls/{shared.pk}/host/", {"user": dan.pk, "from": "calls"})
    assert (answer.status_code, {*shared.hosts.all()}) == (200, {me, dan})
    assert toast(answer)["text"] == "Dan takes the call with Amber."
    before = kept(shared)
    again = browser.post(f"/calls/{shared.pk}/host/", {"user": dan.pk, "from": "calls"})
    assert (again.status_code, kept(shared)) == (409, before)
    undone = browser.post(toast(answer)["undo"]["url"], toast(answer)["undo"]["values"])
    assert (undone.status_code, [*shared.hosts.all()]) == (200, [me])
    gone = browser.post(f"/calls/{shared.pk}/host/", {"user": dan.pk, "off": "1"})
    assert (gone.status_code, [*shared.hosts.all()]) == (409, [me])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", ["mark", "host"])
def test_only_who_works_with_calls_may_change_them(client, role, action):
    client.force_login(user(role))
    told = call(named("Amber"), starts_at=NOW - HOUR)
    before = kept(told)
    values = {"mark": {"status": "no_show"}, "host": {"user": user().pk}}[action]
    answer = client.post(f"/calls/{told.pk}/{action}/", values)
    if role in ("viewer", "revenue"):
        assert (answer.status_code, kept(told)) == (403, before)
    else:
        assert answer.status_code == 200
        assert kept(told) != before


@pytest.mark.parametrize("role", ["viewer", "revenue"])
def test_who_only_reads_sees_the_desk_without_buttons(client, role):
    client.force_login(user(role))
    told = call(named("Amber"), starts_at=NOW - HOUR)
    told.add_host(user(first_name="Dan"))
    for address in ("/calls/", f"/accounts/{told.account_id}/"):
        text = client.get(address).text
        assert "Dan" in text
        assert "/mark/" not in text
        assert "<template id" not in text


@pytest.mark.parametrize(
    ("action", "values", "sentence"),
    [
        ("mark", {}, "Say how the call went."),
        ("mark", {"status": "late"}, "A call is booked, held, cancelled or a no-show."),
        ("mark", {"status": "held", "seen": "late"}, "No call is “late”."),
        ("mark", {"status": "held", "at": "noon"}, "The time is written in ISO 8601."),
        ("mark", {"status": "held", "at": "2026-11-21T09:00:01+00:00"}, "Nothing is said in the future."),
        ("host", {}, "Say who takes the call."),
        ("host", {"user": "9" * 20}, "There is no such colleague."),
    ],
)
def test_bad_input_gets_a_sentence_and_changes_nothing(browser, action, values, sentence):
    told = call(named("Amber"), starts_at=NOW - HOUR)
    before = kept(told)
    answer = browser.post(f"/calls/{told.pk}/{action}/", values)
    assert (answer.status_code, kept(told)) == (422, before)
    assert toast(answer)["text"] == sentence


def test_a_call_cannot_be_taken_by_who_only_reads_but_be_taken_from_them(browser):
    told, viewer = call(named("Amber"), starts_at=NOW + HOUR), user("viewer")
    answer = browser.post(f"/calls/{told.pk}/host/", {"user": viewer.pk})
    assert (answer.status_code, [*told.hosts.all()]) == (422, [])
    assert toast(answer)["text"] == "A call is taken by a specialist, a lead or an admin."
    told.add_host(viewer)
    assert browser.post(f"/calls/{told.pk}/host/", {"user": viewer.pk, "off": "1"}).status_code == 200
    assert not told.hosts.exists()


@pytest.mark.parametrize("action", ["mark", "host"])
def test_an_action_wants_a_post_a_known_call_a_token_and_a_login(browser, me, action):
    told = call(named("Amber"), starts_at=NOW - HOUR)
    before, values = kept(told), {"status": "held", "user": me.pk}
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(me)
    address = f"/calls/{told.pk}/{action}/"
    assert browser.get(address).status_code == 405
    assert strict.post(address, values).status_code == 403
    assert Client().post(address, values).status_code == 302
    for unknown in (told.pk + 1, "9" * 20):
        assert browser.post(f"/calls/{unknown}/{action}/", values).status_code == 404
    assert kept(told) == before


def test_the_accounts_page_marks_its_calls_in_place(browser):
    held = call(named("Amber"), starts_at=NOW - HOUR)
    assert f"/calls/{held.pk}/mark/" in browser.get(f"/accounts/{held.account_id}/").text
    answer = browser.post(f"/calls/{held.pk}/mark/", {"status": "held", "from": "account", "behind": "calls"})
    assert answer.status_code == 200
    assert 'hx-target="#account"' in answer.text
    assert 'hx-target="#desk"' in answer.text
    assert held.account.transitions.first().cause == "account"


def test_a_desk_without_a_call_says_so(browser):
    text = browser.get("/calls/").text
    assert "No more calls today." in text
    assert "How did it go?" not in text
    assert text.count('<p class="faint">None.</p>') == 5
