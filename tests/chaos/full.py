"""Everything is killed by turns while events come in; then the same without a guard, where its lack must show.

Exits 1 where an event was lost or applied twice, an account came out otherwise than its story says, nothing was left
without the sweep, or nothing was applied twice without the claim.
"""

import argparse
import logging
import os
import random
from collections import Counter
from itertools import cycle
from pathlib import Path
from time import monotonic

from django.conf import settings
from django.db import Error, connection

from apps.intake.models import Event
from config.embedded.supervisor import Stopped
from tests.chaos.house import VICTIMS, House, silence_errors
from tests.chaos.sender import Sender
from tests.chaos.story import World, applied, applied_a_second, repeated, torn, unsettled

# From here on the broker is away, so nobody hears a bell for what still comes in.
UNHEARD_FROM = 0.95
# An event whose worker was killed waits half a minute before it is tried again.
SETTLED_WITHIN, LEFT_AFTER, TICKED_WITHIN = 300, 60, 180
CONTROLS = {
    "sweep": "Without the sweep, some must be left",
    "claim": "Without the claim, some must be applied twice",
}


def storm(house, sender, chance, every):
    """Kill by turns while it is told, and the broker until the last of it is kept; how often each was killed."""
    kills, victims = Counter(), cycle(chance.sample(VICTIMS, len(VICTIMS)))
    if not every:
        house.wait(sender.planned + 600, sender.is_done)
        return kills
    # By the plan, not by what was answered: a machine too slow to come up again between two kills still gets there.
    until = sender.began + UNHEARD_FROM * sender.planned
    while monotonic() < until:
        house.wait(min(every, until - monotonic()))
        kills.update({victim: 1 for victim in [next(victims)] if house.kill(victim, chance)})
    house.down.add("valkey")
    kills.update({victim: 1 for victim in ("valkey", "worker") if house.kill(victim, chance)})
    house.wait(600, sender.is_done)
    # Nor does a bell that was rung before the broker went away: it comes back without its memory.
    house.empty("valkey")
    house.down.clear()
    return kills


def all_settled():
    try:
        return not unsettled()
    except Error:
        connection.close()
        return False


def scenario(title, given, events, *, without=""):
    """One run from an empty database to its end, printed; whether it came out otherwise than it must."""
    chance = random.Random(given.seed)
    swept = without != "sweep"
    with House(without=without).open() as house:
        connection.close()
        world = World(events)
        house.start()
        sender = Sender(house.port, world.told, rate=given.rate, twice=given.twice, seed=given.seed)
        kills = storm(house, sender, chance, given.every)
        told_in = sender.ended - sender.began
        sender.stop()
        connection.close()
        settled = house.wait(SETTLED_WITHIN if swept else LEFT_AFTER, all_settled)
        settled_in = monotonic() - sender.ended
        connection.close()
        house.wait(30, lambda: house.all_up())
        times = applied()
        kept = {*Event.objects.values_list("provider", "external_id")}
        lost = {event.name() for event in world.told} - kept
        doubles = repeated() | {"events": sum(count - 1 for count in times.values())}
        left = unsettled()
        # A worker that was killed between events and playbooks leaves those to the next tick, a minute later.
        if not without:
            house.wait(TICKED_WITHIN, lambda: not world.wrong())
        right_in = monotonic() - sender.ended
        wrong = [] if without else world.wrong()
        lines = {
            "events sent": len(world.told),
            "sent twice": len(sender.again),
            "a second": f"{sender.wanted / told_in:.0f} for {told_in:.0f} s",
            "tries without a 200": f"{sum(sender.answers.values()) - sender.kept} {_by_status(sender.answers)}",
            "answered (p50, p95, p99)": ", ".join(
                f"{1000 * sender.within(share):.0f} ms" for share in (0.5, 0.95, 0.99)
            ),
            "kills": f"{kills.total()} ({', '.join(f'{n} × {name}' for name, n in sorted(kills.items()))})",
            "kept": len(kept),
            "lost": len(lost),
            "applied": len(times),
            "not applied": left,
            "applied a second": f"{applied_a_second():.0f}",
            "applied twice": ", ".join(f"{count} {what}" for what, count in doubles.items()),
            "last one applied after": f"{settled_in:.0f} s" if settled else "never",
            "all alerts there after": "not asked" if without else "never" if wrong else f"{right_in:.0f} s",
            "accounts otherwise than told": "not asked"
            if without
            else f"{len(wrong)} of {len(world.abouts)}",
            "histories torn": len(torn()),
        }
        twice = any(doubles.values()) if without != "claim" else not doubles["events"]
        bad = bool(lost or twice or torn() or wrong or len(kept) != len(world.told))
        bad = bad or (left > 0 if swept else left == 0)
        connection.close()
    print(f"\n{title}")
    for name, value in lines.items():
        print(f"  {name:<30} {value}")
    print("\n".join(wrong[:5]))
    print(f"  {'so':<30} {'WRONG' if bad else 'as it must be'}", flush=True)
    return bad


def _by_status(answers):
    return {status or "no answer": count for status, count in answers.items() if status != 200} or ""


def main():
    asked = argparse.ArgumentParser(prog="python -m tests.chaos")
    asked.add_argument("--events", type=int, default=7000, help="0: only the runs without a guard")
    asked.add_argument(
        "--control", type=int, default=700, help="events of each run without a guard; 0: no such run"
    )
    asked.add_argument("--rate", type=float, default=40, help="events a second, without those sent twice")
    asked.add_argument("--twice", type=float, default=0.2, help="the share sent twice")
    asked.add_argument("--every", type=float, default=3, help="seconds between two kills; 0: none")
    asked.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = asked.parse_args()
    settings.DEBUG = False
    logging.disable(logging.WARNING)
    silence_errors(Path(os.environ["STATE_DIR"]) / "errors.log")
    print(f"Seed {given.seed}.", flush=True)
    try:
        title = "Killed by turns" if given.every else "Nothing is killed"
        bad = bool(given.events) and scenario(title, given, given.events)
        # A control goes without a guard against being killed.
        if given.control and given.every:
            for without, title in CONTROLS.items():
                bad |= scenario(title, given, given.control, without=without)
    except Stopped:
        raise SystemExit("Stopped before the end.") from None
    raise SystemExit(int(bad))


main()
