"""The moments at which the playbooks of a year are run: by four clocks, in a time zone."""

from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Pacific/Apia")
# Both changes of the clock lie within, and 29 February.
FIRST, DAYS = date(2027, 9, 1), 400
OUTAGE = range(100, 110)
HOUR = timedelta(hours=1)


class Clock:
    """The moments of a year at which the playbooks are run, in one time zone; all end at the same one."""

    def __init__(self, zone, ticks, times=1):
        self.zone, self.times = ZoneInfo(zone), times
        self.ticks = [*ticks, self.start_of(DAYS)]

    def start_of(self, offset):
        return start_of(self.zone, offset)

    def first(self, moment):
        """The tick at which what is due from that moment on is done."""
        return self.ticks[bisect_left(self.ticks, moment)]

    def day(self, moment):
        """The team's day of the tick, as an offset from the first; None once the year is over."""
        if moment > self.ticks[-1]:
            return None
        return (self.first(moment).astimezone(self.zone).date() - FIRST).days


def moment_of(zone, offset, at):
    """A moment of a day counted from the first; in UTC, because moments of one zone compare by its wall clock alone."""
    return datetime.combine(FIRST + timedelta(days=offset), at, zone).astimezone(UTC)


def start_of(zone, offset):
    """The moment a day begins, counted from the first."""
    return moment_of(zone, offset, time.min)


def hours(zone, step, skip=()):
    """A tick every so many hours of real time, but none on the days to skip."""
    zone = ZoneInfo(zone)
    now, end = start_of(zone, 0), start_of(zone, DAYS)
    while now < end:
        if (now.astimezone(zone).date() - FIRST).days not in skip:
            yield now
        now += step * HOUR


def clocks(zone, step=1):
    """The clocks by name; ``step`` is how many hours lie between two ticks of those that never rest."""
    return {
        "steady": Clock(zone, hours(zone, step)),
        "every three days": Clock(zone, hours(zone, 72)),
        "every tick twice": Clock(zone, hours(zone, step), times=2),
        "ten days away": Clock(zone, hours(zone, step, skip=OUTAGE)),
    }
