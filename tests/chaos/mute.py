"""Slack is down for an hour while messages to it are written; whether all come after, once, in order per account.

Exits 1 where one is missing, came twice, or came before an earlier one of its account.
"""

import argparse
import logging
import os
from collections import Counter
from itertools import count
from time import monotonic

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.outbox.models import Message
from tests.chaos.house import House
from tests.factories import account
from tests.outside import Slack

ACCOUNTS = 25
# The longest pause of a channel that is not well is five minutes.
BACK_WITHIN = 600


class Mute(Slack):
    """Answers 503 while it is down, and counts the tries it saw then."""

    def __init__(self):
        super().__init__()
        self.down, self.tries = True, 0

    def answer(self, handler, body, told):
        self.tries += self.down
        super().answer(handler, body, 503 if self.down else told)


def written(house, accounts, seconds, every):
    """Write a message for one account after the other for so long; the subjects, in order."""
    subjects, until = [], monotonic() + seconds
    for number in count():
        if monotonic() > until:
            return subjects
        of, now = accounts[number % len(accounts)], timezone.now()
        subjects.append(f"{of.name} {number:05}")
        Message.objects.write(
            [Message.slack(subjects[-1], kind="alert", subject=subjects[-1], now=now, account_id=of.pk)]
        )
        house.wait(every)


def out_of_order(subjects):
    """How many came before an earlier one of the same account."""
    last, wrong = {}, 0
    for subject in subjects:
        name, number = subject.rsplit(" ", 1)
        wrong += number < last.get(name, "")
        last[name] = number
    return wrong


def main():
    asked = argparse.ArgumentParser(prog="python -m tests.chaos mute")
    asked.add_argument("--minutes", type=float, default=60)
    asked.add_argument("--every", type=float, default=20, help="seconds between two messages")
    given = asked.parse_args()
    settings.DEBUG = False
    logging.disable(logging.WARNING)
    with Mute() as slack, House().open() as house:
        house.env["SLACK_WEBHOOK_URL"] = os.environ["SLACK_WEBHOOK_URL"] = slack.url
        connection.close()
        accounts = [account(name=f"account-{number}") for number in range(ACCOUNTS)]
        house.start()
        subjects = written(house, accounts, 60 * given.minutes, given.every)
        tries, slack.down, up = slack.tries, False, monotonic()
        house.wait(BACK_WITHIN, lambda: not Message.objects.filter(sent_at=None).exists())
        took, came = monotonic() - up, slack.subjects
        left = Message.objects.filter(sent_at=None).count()
    repeats = sum(times - 1 for times in Counter(came).values())
    missing, wrong = len({*subjects} - {*came}), out_of_order(came)
    print(f"Down for {given.minutes:g} minutes: {len(subjects)} messages written, {tries} tries met 503.")
    print(f"Then {len(came)} came in {took:.0f} s: {missing} missing, {left} not marked, {repeats} repeated,")
    print(f"{wrong} before an earlier one of the same account.")
    raise SystemExit(int(bool(missing or left or repeats or wrong or not tries)))


main()
