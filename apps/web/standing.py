"""Who else is at an account just now: what somebody should know before they write to it."""

from __future__ import annotations

from datetime import timedelta

from apps.crm.models import Account, User
from apps.crm.policy import Numbers
from apps.web.display import ago, on_it
from apps.web.tables import Word


def standing(account: Account, reader: User, numbers: Numbers) -> list[Word]:
    """What speaks against writing at once, in sentences, the nearest first. Two queries at most."""
    told = (_held(account, reader, numbers), _written(account, reader, numbers), _with_sales(account))
    return [word for word in told if word.text]


def _held(account: Account, reader: User, numbers: Numbers) -> Word:
    if account.holder(numbers) in (None, reader.pk):
        return Word("")
    return Word(f"{on_it(str(account.claimed_by), account.claimed_at, numbers)}.", "wait")


def _written(account: Account, reader: User, numbers: Numbers) -> Word:
    last = account.last_outreach_at
    if last is None or last <= numbers.now - timedelta(days=numbers.written_days):
        return Word("")
    if other := account.last_of_others(reader, numbers):
        return Word(f"{other.by} wrote {ago(other.at, numbers.now)}.", "wait")
    # What came by BCC is kept without its writer.
    if not account.outreaches.standing().filter(at__gte=last).exists():
        return Word(f"Mail went out to them {ago(last, numbers.now)}.", "wait")
    return Word("")


def _with_sales(account: Account) -> Word:
    if account.sales_contact_kind:
        who = account.sales_contact_name or account.sales_contact_email or "Somebody"
        return Word(f"{who} is their {account.sales_contact_kind}: a live thread may run there.", "info")
    return Word("They are talking with Sales.", "info") if account.contacted_sales else Word("")
