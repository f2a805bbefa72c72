"""The board cut into rows, as it stood on another day, and who moved since one."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.models import Account
from apps.crm.pipeline import STAGES, Stage
from apps.crm.swims import CELL_SIZE, SWIMS
from tests.factories import NOW, account, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

MONDAY = date(2026, 11, 16)


@pytest.fixture
def dan(client):
    person = user(first_name="Dan", last_name="Roe")
    client.force_login(person)
    return person


def cells(text):
    """The accounts of each lane's rows: {(stage, row): [ids]}; a lane without rows has one, named empty."""
    found = {}
    for lane in text.split('<section class="lane"')[1:]:
        stage = re.search(r'data-stage="(\w+)"', lane)[1]
        for one in lane.partition("</section>")[0].split('<ol class="cards"')[1:]:
            row = re.search(r'^ data-row="(\w+)"', one)
            found[stage, row[1] if row else ""] = [int(pk) for pk in re.findall(r'id="a(\d+)"', one)]
    return found


def shown(client, query):
    return {cell: ids for cell, ids in cells(client.get(f"/board/?{query}").text).items() if ids}


def counted(client, query):
    text = client.get(f"/board/?{query}").text
    return dict(
        zip(
            re.findall(r'data-stage="(\w+)"', text),
            re.findall(r'class="lane-count"[^>]*>([^<]*)<', text),
            strict=True,
        )
    )


def moved(of, to, at, by=None, **more):
    of.move(to, by=by or user(), now=at, cause="board", **more)
    return of


def at(day, hour=9):
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def test_rows_by_owner_hold_each_account_once_beside_those_of_nobody(client, dan):
    mina = user(first_name="Mina", last_name="Zay")
    his, hers, other = account(Stage.NEW, owner=dan), account(Stage.NEW, owner=mina), account(Stage.INITIATED)
    assert shown(client, "by=owner") == {
        ("new", str(dan.pk)): [his.pk],
        ("new", str(mina.pk)): [hers.pk],
        ("initiated", "none"): [other.pk],
    }
    text = client.get("/board/?by=owner").text
    assert re.findall(r"<p><b>([^<]*)</b> ([^<]*)</p>", text) == [
        ("Dan Roe", "1"),
        ("Mina Zay", "1"),
        ("Nobody", "1"),
    ]
    assert 'aria-label="Mina Zay"' in text


@pytest.mark.parametrize(
    ("renews", "row"),
    [
        (None, "none"),
        (date(2026, 11, 20), "overdue"),
        (date(2026, 11, 21), "0"),
        (date(2026, 11, 22), "0"),
        (date(2026, 11, 23), "1"),
        (date(2026, 12, 20), "4"),
        (date(2026, 12, 21), "later"),
    ],
)
def test_rows_by_week_begin_on_monday(client, dan, renews, row):
    of = account(Stage.NEW, next_renewal_on=renews)
    assert shown(client, "by=week") == {("new", row): [of.pk]}


def test_rows_by_risk_stand_the_worst_first(client, dan):
    risks = {risk: account(Stage.NEW, payment_risk=risk).pk for risk in ("", "low", "medium", "high")}
    text = client.get("/board/?by=risk").text
    assert [ids for (stage, _), ids in cells(text).items() if stage == "new"] == [
        [risks[risk]] for risk in ("high", "medium", "low", "")
    ]


@pytest.mark.parametrize("by", SWIMS)
def test_every_open_account_stands_in_one_row_and_the_rest_of_a_row_comes_in_parts(client, dan, by):
    everybody = {
        account(Stage.NEW, next_renewal_on=NOW.date() + timedelta(days=20)).pk for _ in range(3 * CELL_SIZE)
    }
    text = client.get(f"/board/?by={by}").text
    first = [pk for ids in cells(text).values() for pk in ids]
    assert len(first) == CELL_SIZE
    more = re.search(r'hx-get="(/board/column/[^"]*)"', text)[1].replace("&amp;", "&")
    rest = [int(pk) for pk in re.findall(r'id="a(\d+)"', client.get(more).text)]
    assert (len(rest), {*first, *rest}) == (2 * CELL_SIZE, everybody)


def test_a_move_draws_both_lanes_with_their_rows_and_as_many_cards_as_the_page_held(client, dan):
    here = [account(Stage.NEW) for _ in range(CELL_SIZE + 4)]
    of = here[0]
    answer = client.post(
        f"/accounts/{of.pk}/move/?by=owner",
        {
            "to": "initiated",
            "version": of.version,
            "from": "board",
            "seen": "new",
            "shown": "new/none:11,initiated/none:1",
        },
    )
    found = cells(answer.text)
    assert found["initiated", "none"] == [of.pk]
    assert len(found["new", "none"]) == 11


def test_rows_cost_the_same_few_queries_however_many_accounts_there_are(client, dan):
    costs = []
    for number in (2, 20):
        for _ in range(number):
            account(Stage.NEW, owner=dan)
        with CaptureQueriesContext(connection) as asked:
            client.get("/board/?by=owner")
        costs.append(len(asked))
    assert costs[0] == costs[1]


def test_an_unknown_way_to_cut_it_is_the_board_without_rows(client, dan):
    of = account(Stage.NEW)
    assert shown(client, "by=nonsense") == {("new", ""): [of.pk]}


def test_the_board_as_of_a_day_is_what_the_ledger_says_of_its_end(client, dan):
    here, gone, still = (account(Stage.NEW, since=at(9), name=name) for name in ("Here", "Gone", "Still"))
    moved(here, Stage.INITIATED, at(12))
    moved(here, Stage.ENGAGED_EMAIL, at(17))
    moved(gone, Stage.CHURNED, at(13, 23), reason="Left.")
    late = account(Stage.NEW, name="Late")
    assert shown(client, "as_of=2026-11-12") == {
        ("new", ""): [gone.pk, still.pk],
        ("initiated", ""): [here.pk],
    }
    assert counted(client, "as_of=2026-11-13")["churned"] == "1"
    assert shown(client, "as_of=2026-11-13&stage=churned")["churned", ""] == [gone.pk]
    assert (
        shown(client, "as_of=2026-11-21")
        == shown(client, "")
        == {
            ("new", ""): [still.pk, late.pk],
            ("engaged_email", ""): [here.pk],
        }
    )
    assert shown(client, "as_of=2026-11-01") == {}


def test_a_move_and_its_undo_are_told_as_they_were(client, dan):
    of = account(Stage.NEW, since=at(9))
    moved(of, Stage.INITIATED, at(11), by=dan)
    of.undo(by=dan, now=at(11) + timedelta(minutes=5), version=of.version)
    assert shown(client, "as_of=2026-11-10") == {("new", ""): [of.pk]}
    assert shown(client, "since=2026-11-10") == {}


def test_the_day_ends_where_the_team_is(client, dan):
    of = account(Stage.NEW, since=at(9))
    moved(of, Stage.INITIATED, datetime(2026, 11, 12, 23, 59, tzinfo=UTC))
    assert shown(client, "as_of=2026-11-11") == {("new", ""): [of.pk]}
    assert shown(client, "as_of=2026-11-12") == {("initiated", ""): [of.pk]}


def test_since_monday_shows_who_came_from_where_and_how_many_left(client, dan):
    old, came, back = (account(Stage.NEW, since=at(9), name=name) for name in ("Old", "Came", "Back"))
    moved(old, Stage.INITIATED, at(13))
    moved(came, Stage.INITIATED, at(17), by=dan)
    moved(back, Stage.SALES_HANDOFF, at(17), reason="Big.")
    moved(back, Stage.NEW, at(18))
    text = client.get("/board/?since=monday").text
    assert {cell: ids for cell, ids in cells(text).items() if ids} == {("initiated", ""): [came.pk]}
    card = text.partition(f'id="a{came.pk}"')[2].partition("</li>")[0]
    assert "from 1" in card
    assert "Tue 17 Nov, Dan Roe" in card
    assert counted(client, "since=monday")["new"] == "0 came, 1 left"
    assert shown(client, f"since={MONDAY.isoformat()}") == shown(client, "since=monday")


@pytest.mark.parametrize("given", ["2026-13-01", "yesterday", "2026-11-22", "0001-01-01", "9" * 400, "\x00"])
@pytest.mark.parametrize("name", ["as_of", "since"])
def test_a_day_that_has_not_been_is_the_board_of_now_with_a_word(client, dan, name, given):
    of = account(Stage.NEW)
    answer = client.get("/board/", {name: given})
    assert answer.status_code == 200
    assert "is no day that has been, so this is the board as it is now." in answer.text
    assert cells(answer.text)["new", ""] == [of.pk]


def test_nothing_can_be_moved_on_a_board_of_the_past(client, dan):
    account(Stage.NEW)
    text = client.get("/board/?as_of=2026-11-18").text
    assert "nothing can be moved here" in text
    assert "data-rules" not in text
    assert 'data-since=""' in text


def test_the_rest_of_a_past_lane_comes_in_parts_each_account_once(client, dan):
    everybody = {account(Stage.NEW, since=at(9)).pk for _ in range(60)}
    text, seen = client.get("/board/?as_of=2026-11-12").text, []
    while True:
        seen += [int(pk) for pk in re.findall(r'id="a(\d+)"', text)]
        more = re.search(r'hx-get="(/board/column/[^"]*)"', text)
        if not more:
            break
        text = client.get(more[1].replace("&amp;", "&")).text
    assert (len(seen), {*seen}) == (60, everybody)


def test_the_past_replayed_in_plain_python_is_the_past_shown(client, dan):
    ways = [Stage.INITIATED, Stage.ENGAGED_EMAIL, Stage.CALL_BOOKED, Stage.INTRO_CALL_COMPLETED]
    everybody = [account(Stage.NEW, since=at(2)) for _ in range(6)]
    for number, of in enumerate(everybody):
        for step, to in enumerate(ways[: number % 5]):
            moved(of, to, at(3 + 3 * step + number % 3))
    for day in range(2, 19):
        stood = {}
        for of in Account.objects.all():
            last = [row for row in of.transitions.all() if row.at < at(day + 1, 0)]
            if last:
                stood.setdefault((max(last, key=lambda row: row.version).to_stage, ""), set()).add(of.pk)
        told = shown(client, f"as_of=2026-11-{day:02}")
        assert {cell: {*ids} for cell, ids in told.items()} == stood, day
    assert len(STAGES) == len(counted(client, "as_of=2026-11-18"))
