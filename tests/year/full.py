"""All of the year: hourly ticks, by four clocks in four time zones, each in a database of its own.

Exits 1 where two of them end differently, or one differs from the reckoning.
"""

import argparse
import logging
import multiprocessing
import os
from time import monotonic

from django.conf import settings
from django.core.management import call_command
from django.db import connection

from tests.bench.database import Databases
from tests.year.clock import ZONES, clocks
from tests.year.stories import stories
from tests.year.world import live, lived, mornings, reckoned, state, written

ACCOUNTS = 300
COLUMNS = "{:<18} {:<18} {:>7} {:>8} {:>8} {:>6} {:>6}"


def one(job):
    """Live by one clock; gives what is to be printed and compared."""
    databases, zone, name, step = job
    clock, told = clocks(zone, step)[name], stories(zone, ACCOUNTS)
    place = f"{zone}_{name}".replace("/", "_").replace(" ", "_").lower()
    with databases.copy("empty", place):
        databases.use(place)
        began = monotonic()
        live(zone, clock, told)
        seconds = monotonic() - began
        came, must = lived(clock), reckoned(told, clock)
        ended, mails = state(), written()
        connection.close()
    wrong = [
        f"{account}: {came[account]}\n  not {must[account]}"
        for account in must
        if came[account] != must[account]
    ]
    if mails != mornings(clock):
        wrong.append(f"morning mails: {sorted({*mails.items()} ^ {*mornings(clock).items()})[:5]}")
    return zone, name, len(clock.ticks) * clock.times, seconds, wrong, ended


def main():
    asked = argparse.ArgumentParser(prog="python -m tests.year")
    asked.add_argument("--zone", choices=ZONES, action="append", help="only this one; repeat for more")
    asked.add_argument("--step", type=int, default=1, help="hours between two ticks")
    asked.add_argument("--at-once", type=int, default=2, help="how many clocks run side by side")
    given = asked.parse_args()
    settings.DEBUG = False
    logging.disable(logging.WARNING)
    databases = Databases(os.environ["DATABASE_URL"])
    zones = given.zone or ZONES
    try:
        databases.make("empty")
        databases.use("empty")
        call_command("migrate", verbosity=0)
        connection.close()
        jobs = [(databases, zone, name, given.step) for zone in zones for name in clocks(zone, 24)]
        with multiprocessing.get_context("fork").Pool(given.at_once) as pool:
            return told(pool.imap_unordered(one, jobs))
    finally:
        databases.drop_all()


def told(results):
    """Print each as it comes; 1 where something differs."""
    print(COLUMNS.format("zone", "clock", "ticks", "seconds", "ms/tick", "acts", "wrong"), flush=True)
    first, bad = None, False
    for zone, name, ticks, seconds, wrong, ended in results:
        acts = ended["acts"].total()
        row = (zone, name, ticks, f"{seconds:.0f}", f"{1000 * seconds / ticks:.1f}", acts, len(wrong))
        print(COLUMNS.format(*row), flush=True)
        print("\n".join(wrong[:5]), end="\n" if wrong else "", flush=True)
        first = first or ended
        differ = [part for part in ended if ended[part] != first[part]]
        for part in differ:
            print(f"  ends with other {part} than the first did", flush=True)
        bad = bad or bool(wrong or differ)
    print("They differ." if bad else "All end in the same state, and every act falls on its day.")
    return int(bad)
