"""The board as it is asked for and answered: lanes, sums, rules, the parts of a move, and in how few queries."""

import re
from datetime import timedelta
from decimal import Decimal
from itertools import product
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.crm import keyset
from apps.crm.board import LANE_SIZE, LIMITS, standing
from apps.crm.models import Account, Alert, Call, Task
from apps.crm.options import options, refusal
from apps.crm.pipeline import CLOSED, OPEN, OUTSIDE, STAGES, TOO_LONG_AFTER, Stage
from tests.factories import account, snapshot, user, with_facts

pytestmark = pytest.mark.django_db

# Everything a guard can look at, in every combination.
FACTS = [
    {"engaged": engaged, "intro_call": intro, "before_paid_call": before}
    for engaged, intro, before in product((False, True), (False, True), (OUTSIDE, Stage.ENGAGED_EMAIL))
]


@pytest.fixture
def dan(client):
    person = user(first_name="Dan", last_name="Roe")
    client.force_login(person)
    return person


def lanes(text):
    """The lanes of a page or of the parts of an answer: {stage: {head, cards, folded, more}}."""
    found = {}
    for lane in text.split('<section class="lane"')[1:]:
        lane = lane.partition("</section>")[0]
        found[re.search(r'data-stage="(\w+)"', lane)[1]] = {
            "count": re.search(r'class="lane-count"[^>]*>([^<]*)<', lane)[1],
            "sum": re.search(r'class="lane-sum">([^<]*)<', lane)[1],
            "full": "data-full" in lane,
            "folded": "data-folded" in lane,
            "cards": [int(pk) for pk in re.findall(r'<li class="card" id="a(\d+)"', lane)],
            "more": re.search(r'hx-get="([^"]*)"', lane),
        }
    return found


def card(text, of):
    return text.partition(f'id="a{of.pk}"')[2].partition("</li>")[0]


def shown(client, query=""):
    return lanes(client.get(f"/board/{query}").text)


def days_ago(number):
    return timezone.now() - timedelta(days=number)


def in_days(number):
    return timezone.now().date() + timedelta(days=number)


def test_a_lane_a_stage_in_order_with_cards_by_renewal_and_the_closed_ones_folded(client, dan):
    late, none, early = (account(Stage.NEW, next_renewal_on=day) for day in (in_days(9), None, in_days(2)))
    gone = account(Stage.CHURNED)
    found = shown(client)
    assert list(found) == list(STAGES)
    assert found[Stage.NEW]["cards"] == [early.pk, late.pk, none.pk]
    assert {stage for stage, lane in found.items() if lane["folded"]} == set(CLOSED)
    assert (found[Stage.CHURNED]["cards"], found[Stage.CHURNED]["count"]) == ([], "1")
    assert shown(client, "?stage=churned")[Stage.CHURNED]["cards"] == [gone.pk]


def test_counts_and_sums_are_those_of_the_filter_beside_the_count_of_all(client, dan):
    mina = user(first_name="Mina")
    for stage in STAGES:
        account(stage, forecast=Decimal("100.40"), owner=dan)
        account(stage, forecast=None, owner=dan, next_renewal_on=in_days(3))
        account(stage, forecast=900, owner=mina)
    for query, narrowed in [
        ("", {}),
        ("?owner=me", {"owner": dan}),
        (f"?owner={mina.pk}", {"owner": mina}),
        ("?renews=0-10", {"next_renewal_on": in_days(3)}),
        ("?owner=me&renews=0-10&sort=-forecast&bogus=1", {"owner": dan, "next_renewal_on": in_days(3)}),
    ]:
        found = shown(client, query)
        for stage in STAGES:
            here = Account.objects.filter(stage=stage, **narrowed)
            forecast = sum(it.forecast or 0 for it in here)
            lane = found[stage]
            assert lane["count"] == (f"{len(here)} of 3" if narrowed else "3")
            assert lane["sum"] == ("" if stage in CLOSED or not forecast else f"${forecast:,.0f}")
            if stage in OPEN:
                assert sorted(lane["cards"]) == sorted(it.pk for it in here)


def test_each_filter_that_is_on_can_be_taken_off_by_a_link(client, dan):
    text = client.get("/board/?q=+fjord+&stage=new&stage=churned&owner=me").text
    for without in ("stage=new&amp;stage=churned&amp;owner=me", "q=+fjord+&amp;stage=churned&amp;owner=me"):
        assert f'<a class="chip accent" href="/board/?{without}"' in text


def test_a_filter_nobody_knows_is_ignored_with_a_word(client, dan):
    here = account(Stage.NEW)
    answer = client.get("/board/?bogus=1&renews=soon&q=%00&stage=nine&after=zzz")
    assert answer.status_code == 200
    assert "There is no filter “bogus”, so it was ignored." in answer.text
    assert lanes(answer.text)[Stage.NEW]["cards"] == [here.pk]


def test_a_lane_past_its_limit_says_so_and_takes_cards_still(client, dan, monkeypatch):
    monkeypatch.setitem(LIMITS, Stage.INITIATED, 1)
    account(Stage.INITIATED)
    assert not shown(client)[Stage.INITIATED]["full"]
    here = account(Stage.NEW)
    assert move(client, here, Stage.INITIATED).status_code == 200
    assert shown(client)[Stage.INITIATED]["full"]
    assert shown(client, "?owner=none&renews=overdue")[Stage.INITIATED]["full"], "the filter hides no signal"


def test_closed_accounts_are_not_counted_further_than_anybody_reads(client, dan, monkeypatch):
    monkeypatch.setattr(keyset, "COUNTED_UP_TO", 2)
    for _ in range(4):
        account(Stage.CHURNED)
    assert shown(client)[Stage.CHURNED]["count"] == "2+"


def test_the_rest_of_a_lane_comes_in_parts_each_account_once(client, dan):
    for number in range(2 * LANE_SIZE + 3):
        account(Stage.NEW, next_renewal_on=None if number % 5 == 0 else in_days(number % 7))
    lane = shown(client, "?renews=")[Stage.NEW]
    found = lane["cards"]
    assert len(found) == LANE_SIZE
    part = client.get(lane["more"][1].replace("&amp;", "&")).text
    for size in (LANE_SIZE, 3):
        more = [int(pk) for pk in re.findall(r'<li class="card" id="a(\d+)"', part)]
        assert len(more) == size
        found += more
        link = re.search(r'hx-get="([^"]*)"', part)
        part = client.get(link[1]).text if link else ""
    expected = Account.objects.filter(stage=Stage.NEW).order_by("renewal_on", "pk")
    assert found == list(expected.values_list("pk", flat=True))
    assert not link


def test_a_lane_fetched_alone_is_the_lane_of_the_page_and_an_unknown_one_is_not_found(client, dan):
    here = account(Stage.CHURNED, owner=dan)
    account(Stage.CHURNED)
    found = lanes(client.get("/board/column/churned/?owner=me").text)
    assert list(found) == [Stage.CHURNED]
    assert found[Stage.CHURNED] | {"more": None} == {
        "count": "1 of 2",
        "sum": "",
        "full": False,
        "folded": False,
        "cards": [here.pk],
        "more": None,
    }
    assert client.get("/board/column/nine/").status_code == 404
    assert lanes(client.get("/board/column/churned/?after=broken").text) == {}


def test_a_card_says_what_wants_a_person_and_how_long_it_stands(client, dan):
    dan.looked_at = days_ago(2)
    dan.save()
    here = account(
        Stage.CALL_BOOKED,
        since=days_ago(3 * TOO_LONG_AFTER[Stage.CALL_BOOKED]),
        name="<b>Fjord</b>",
        owner=dan,
        forecast=1450,
        sales_contact_kind="AE",
        next_renewal_on=in_days(-3),
    )
    Alert.objects.create(account=here, kind="missed-outreach", raised_at=timezone.now())
    Task.objects.create(account=here, title="x", due_on=in_days(-1), created_at=timezone.now())
    for external_id, status, ahead in [
        ("1", "booked", 5),
        ("2", "booked", 4),
        ("3", "canceled", 1),
        ("4", "booked", -1),
    ]:
        starts = timezone.now() + timedelta(days=ahead)
        Call.objects.create(
            account=here, external_id=external_id, status=status, starts_at=starts, ends_at=starts
        )
    here.recount()
    fresh = account(Stage.NEW, since=timezone.now(), owner=None)
    warned = account(Stage.NEW, since=days_ago(TOO_LONG_AFTER[Stage.NEW] + 1))
    text = client.get("/board/").text
    call_day = in_days(4)
    words = card(text, here)
    for expected in [
        "&lt;b&gt;Fjord&lt;/b&gt;",
        "· −3 d</b><b>$1,450</b>",
        '<b class="bad">42 d here, 28 over</b><i>Dan Roe</i>',
        '<i class="chip bad">Alert</i><i class="chip bad">Task overdue</i>',
        f'<i class="chip info">Call {call_day.day} {call_day:%b}',
        '<i class="chip" title="AE">+1</i>',
    ]:
        assert expected in words
    assert '<i class="chip accent">New</i>' in card(text, fresh)
    assert '<b class="wait">8 d here, 1 over</b>' in card(text, warned)


def test_the_rules_answer_every_standing_as_the_pipeline_itself_does(client, dan):
    answer = client.get("/board/rules/?v=1")
    table = answer.json()
    assert "immutable" in answer.headers["Cache-Control"]
    assert "private" in answer.headers["Cache-Control"]
    asked = 0
    for stage, facts in product(STAGES, FACTS):
        here = with_facts(stage, **facts)
        answers = table[standing(here)]
        engaged_on = here.engaged_at.date().isoformat() if here.engaged_at else ""
        for option in options(here):
            said = answers[option.to]
            words = said.get("refusal", "").replace("{engaged_on}", engaged_on)
            assert words == refusal(here, option.to) == option.refusal
            if option.permitted:
                assert said == {"label": option.label, "needs": option.needs}
            asked += 1
        assert len(answers) == len(STAGES) - 1
    assert asked == len(STAGES) * len(FACTS) * (len(STAGES) - 1)


def test_a_card_carries_its_standing_and_the_day_its_refusal_speaks_of(client, dan):
    here = with_facts(Stage.AWAITING_FINAL_OUTREACH, engaged=True)
    words = card(client.get("/board/").text, here)
    engaged_on = here.engaged_at.date().isoformat()
    assert f'data-is="{here.version} {standing(here)} {here.renewal_on.isoformat()} {engaged_on}"' in words
    silent = SimpleNamespace(
        stage=here.stage, engaged_at=None, intro_call_completed_at=None, stage_before_paid_call=""
    )
    assert standing(silent) != standing(here)


def move(client, of, to, *, query="", **form):
    return client.post(
        f"/accounts/{of.pk}/move/{query}",
        {
            "to": to,
            "version": of.version,
            "from": "board",
            "seen": of.stage,
            "shown": "new:25,initiated:1",
            **form,
        },
    )


def test_a_move_answers_with_the_two_lanes_as_they_now_are(client, dan):
    here, _ = account(Stage.NEW, forecast=100, owner=dan), account(Stage.NEW, forecast=50)
    answer = move(client, here, Stage.INITIATED, query="?owner=me")
    assert answer.status_code == 200
    found = lanes(answer.text)
    assert {stage: (lane["count"], lane["sum"], lane["cards"]) for stage, lane in found.items()} == {
        Stage.NEW: ("0 of 1", "", []),
        Stage.INITIATED: ("1 of 1", "$100", [here.pk]),
    }
    assert 'hx-target="#lane-new"' in answer.text
    assert "moved to" in answer.headers["HX-Trigger"]


def test_a_conflict_answers_with_every_lane_it_touches_and_who_was_first(client, dan):
    mina = user(first_name="Mina", last_name="Hart")
    here = account(Stage.NEW)
    Account.objects.get(pk=here.pk).move(Stage.CALL_BOOKED, by=mina, now=timezone.now(), cause="list")
    before = snapshot(here)
    answer = move(client, here, Stage.INITIATED)
    assert answer.status_code == 409
    found = lanes(answer.text)
    assert list(found) == [Stage.NEW, Stage.INITIATED, Stage.CALL_BOOKED]
    assert found[Stage.CALL_BOOKED]["folded"], "the page did not say that it shows its cards"
    assert "Mina Hart moved it to" in answer.headers["HX-Trigger"]
    assert snapshot(here) == before


def test_an_undo_answers_with_both_lanes_however_little_the_page_knew(client, dan):
    here = account(Stage.NEW)
    row = here.move(Stage.INITIATED, by=dan, now=timezone.now(), cause="board")
    answer = client.post(
        f"/accounts/{here.pk}/undo/", {"transition": row.pk, "version": row.version, "from": "board"}
    )
    assert answer.status_code == 200
    assert list(lanes(answer.text)) == [Stage.NEW, Stage.INITIATED]


@pytest.mark.parametrize("shown", ["", "new", "new:x,:", "new:-1", "new:٣", "nine:9", "new:" + "9" * 5000])
def test_whatever_a_page_says_it_shows_the_answer_is_drawn(client, dan, shown):
    here = account(Stage.NEW)
    assert move(client, here, Stage.INITIATED, shown=shown, seen="nine").status_code == 200


def test_a_lane_that_was_scrolled_keeps_its_cards_through_a_move(client, dan):
    made = [account(Stage.NEW) for _ in range(LANE_SIZE + 10)]
    answer = move(client, made[0], Stage.INITIATED, shown=f"new:{LANE_SIZE + 10},initiated:1")
    assert lanes(answer.text)[Stage.NEW]["cards"] == [it.pk for it in made[1:]]


@pytest.mark.parametrize("role", ["viewer", "revenue"])
def test_who_may_only_read_sees_the_cards_without_their_menu_and_moves_nothing(client, role):
    client.force_login(user(role))
    here = account(Stage.NEW)
    before = snapshot(here)
    text = client.get("/board/").text
    assert "data-rules" not in text
    assert "<button" not in card(text, here)
    assert move(client, here, Stage.INITIATED).status_code == 403
    assert snapshot(here) == before


def test_nobody_without_a_login_sees_any_of_it(client):
    for address in ("/board/", "/board/rules/", "/board/column/new/"):
        assert client.get(address).status_code == 302


@pytest.mark.parametrize("query", ["", "?owner=me&renews=0-10&task=overdue"])
def test_the_board_asks_the_same_few_questions_however_many_accounts_there_are(client, dan, query):
    def asked():
        with CaptureQueriesContext(connection) as captured:
            client.get(f"/board/{query}")
        return len(captured)

    account(STAGES[0], owner=dan, next_renewal_on=in_days(2))
    before = asked()
    for stage in STAGES:
        for _ in range(4):
            here = account(stage, owner=dan, next_renewal_on=in_days(2))
            Task.objects.create(account=here, title="x", due_on=in_days(-1), created_at=timezone.now())
    Account.objects.all().recount()
    assert asked() == before <= 15


def test_a_snoozed_card_says_until_when_and_only_so_long(client, dan):
    today = timezone.now().date()
    snoozed, over = (
        account(Stage.NEW, snoozed_until=today + timedelta(days=ahead), next_renewal_on=None)
        for ahead in (40, 0)
    )
    text = client.get("/board/").text
    assert "Snoozed to" in card(text, snoozed)
    assert "Snoozed" not in card(text, over)
