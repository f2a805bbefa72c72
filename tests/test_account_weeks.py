"""The eight weeks of an account: each step held against what happened."""

from datetime import timedelta
from itertools import pairwise

import pytest

from apps.crm.models import Policy
from apps.crm.pipeline import Stage
from apps.crm.track import reached_since_entry, track
from apps.web.trackplot import WIDTH, drawn
from tests.account_pages import shown
from tests.factories import NOW, TODAY, account, call, in_days

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

# The eight weeks


WEEKS_AGO = {weeks: NOW - timedelta(weeks=weeks) for weeks in range(12)}


def planned(of, **policy):
    of.refresh_from_db()
    for name, value in policy.items():
        Policy.objects.create(name=name, value=value, starts_on=in_days(-100))
    numbers = Policy.at(NOW)
    return track(of, reached_since_entry(of), numbers)


def states(of, **policy):
    return [step.state for step in planned(of, **policy).steps]


def entered(weeks, **facts):
    """An account that entered so many weeks ago."""
    made = account(**facts)
    made.move(Stage.NEW, by=None, now=WEEKS_AGO[weeks], cause="board")
    return made


def test_each_step_of_the_eight_weeks_is_held_against_what_happened(me):
    of = entered(5)
    of.move(Stage.INITIATED, by=me, now=WEEKS_AGO[5] + timedelta(days=2), cause="board")
    call(of, "intro", starts_at=WEEKS_AGO[1], status="held")
    call(of, "second", starts_at=NOW + timedelta(days=2))
    found = planned(of)
    assert [(step.state, step.first, step.last) for step in found.steps] == [
        ("done", in_days(-35), in_days(-29)),
        ("late", in_days(-28), in_days(-15)),
        ("booked", in_days(-14), in_days(-1)),
        ("now", in_days(-7), in_days(6)),
        ("ahead", in_days(7), in_days(20)),
    ]
    assert (found.week, found.ends_on, found.extended) == (6, in_days(20), 0)
    assert [step.done_on for step in found.steps] == [in_days(-33), in_days(-7), None, None, None]
    assert found.steps[2].booked_on == in_days(2)


def test_what_nobody_did_is_overdue_where_it_is_due_to_everybody_and_passes_where_it_is_not(me):
    assert states(entered(9)) == ["overdue", "passed", "passed", "passed", "overdue"]
    gone = entered(9)
    gone.move(Stage.CHURNED, by=me, now=NOW, cause="board", reason="Left")
    assert set(states(gone)) == {"off"}


def test_an_extension_moves_what_has_not_happened_and_leaves_what_has(me):
    of = entered(8)
    of.move(Stage.INITIATED, by=me, now=WEEKS_AGO[8], cause="board")
    of.edit(extended_until=in_days(27), extended_reason="Holidays.", now=NOW)
    found = planned(of)
    assert (found.extended, found.ends_on) == (28, in_days(27))
    assert [step.state for step in found.steps] == ["done", "passed", "now", "now", "ahead"]
    assert [step.first for step in found.steps] == [in_days(-56), *map(in_days, (-21, -7, 0, 14))]


def test_an_extension_within_the_weeks_moves_nothing():
    of = entered(2)
    before = planned(of)
    of.edit(extended_until=in_days(3), extended_reason="Why not", now=NOW)
    assert planned(of) == before


def test_an_undone_move_and_one_before_the_last_entry_did_not_happen(me):
    of = entered(3)
    row = of.move(Stage.INITIATED, by=me, now=NOW, cause="board")
    assert states(of)[0] == "late"
    of.undo(by=me, now=NOW, transition_id=row.pk)
    assert states(of)[0] == "overdue"
    again = entered(10)
    again.move(Stage.INITIATED, by=me, now=WEEKS_AGO[10], cause="board")
    again.move(Stage.CHURNED, by=me, now=WEEKS_AGO[9], cause="board", reason="Left")
    again.move(Stage.NEW, by=me, now=WEEKS_AGO[0], cause="board", reason="Back")
    assert states(again) == ["now", "ahead", "ahead", "ahead", "ahead"]


def test_the_weeks_are_numbers_of_the_policy():
    of = entered(1)
    assert states(of)[0] == "overdue"
    assert states(of, track_outreach_to="2")[0] == "now"


def test_the_track_is_drawn_on_one_strip_and_said_in_words(browser, me):
    of = entered(5)
    of.move(Stage.INITIATED, by=me, now=WEEKS_AGO[5] + timedelta(days=2), cause="board")
    page = shown(browser, of)
    for words in (
        "Eight weeks week 6",
        "Outreach week 1 19 Oct, in time",
        "First call weeks 2–3 did not happen",
        "Homework weeks 5–6 now, until 27 Nov",
        "Final outreach weeks 7–8 from 28 Nov, in 7 days",
        "From 17 Oct to 11 Dec.",
    ):
        assert words in page
    strip = drawn(planned(of), TODAY)
    assert all(0 <= line.x < line.x + line.width <= WIDTH + 0.1 for line in strip.lines)
    assert strip.today == 200
    assert strip.weeks == [40, 80, 120, 160, 200, 240, 280]
    assert all(one < other for one, other in pairwise(strip.weeks))
    assert "Begins when the account enters the pipeline." in shown(browser, account())
