"""A year of a few accounts in coarse steps; `python -m tests.year` lives it for 300 of them, hour by hour."""

from collections import Counter
from datetime import date

import pytest

from apps.playbooks.registry import PLAYBOOKS
from tests.year.clock import DAYS, FIRST, OUTAGE, Clock, hours
from tests.year.stories import KINDS, stories
from tests.year.world import live, lived, mornings, reckoned, state, written

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]

EVERY = set(range(DAYS + 1))


def days_from(*days):
    """The two days from each of these on."""
    return {(day - FIRST).days + after for day in days for after in (0, 1)}


def dense(zone, step, near):
    """Every third day, but on these days a tick every so many hours."""
    return Clock(zone, sorted({*hours(zone, 72), *hours(zone, step, skip=EVERY - near)}))


def with_an_outage(zone):
    near = set(range(OUTAGE[0] - 12, OUTAGE[-1] + 12)) - {*OUTAGE}
    ticks = {*hours(zone, 72, skip=OUTAGE), *hours(zone, 24, skip=EVERY - near)}
    return Clock(zone, sorted(ticks))


# Where the clock goes back or on, and on 29 February, every hour counts.
CLOCKS = {
    "by the hour where the clock turns in New York": lambda: dense(
        "America/New_York", 1, days_from(date(2027, 11, 7), date(2028, 2, 28), date(2028, 3, 12))
    ),
    "every three days in Apia": lambda: Clock("Pacific/Apia", hours("Pacific/Apia", 72)),
    "every tick twice in UTC": lambda: Clock("UTC", hours("UTC", 96), times=2),
    "ten days away in Berlin": lambda: with_an_outage("Europe/Berlin"),
}


@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
def test_by_whatever_clock_a_year_is_lived_all_ends_as_reckoned_and_on_its_day(clock):
    clock = clock()
    told = stories(clock.zone.key, len(KINDS))
    must = reckoned(told, clock)
    live(clock.zone.key, clock, told)
    assert lived(clock) == must
    assert written() == mornings(clock)
    assert {playbook for fate in must.values() for playbook, _ in fate["acts"]} == {*PLAYBOOKS}
    assert set(state()["acts"].values()) == {1}
    raised = Counter(kind for _, kind, *_ in state()["alerts"])
    told = Counter(kind for _, kind, _ in state()["messages"])
    assert raised == Counter({kind: number for kind, number in told.items() if kind in raised})
