"""The brief that goes with an account to Sales: what the record knows, as text a person goes on from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

from apps.crm.days import spoken
from apps.crm.models import Account, AuditPoint, Credit, Note
from apps.crm.models.credit import sums
from apps.crm.policy import Numbers

FEW, GOALS, LONGEST = 5, 2, 1500


def brief(account: Account, *, numbers: Numbers) -> str:
    """The brief of an account, in Markdown; one query a section, a section without anything left out."""
    sections = ((title, list(told(account, numbers))) for title, told in SECTIONS)
    written = (f"**{title}**\n{'\n'.join(lines)}" for title, lines in sections if lines)
    return f"# {account.name}\n\n" + "\n\n".join(written) + "\n"


def _who(account: Account, numbers: Numbers) -> Iterable[str]:
    yield from _facts(
        ("Domain", account.domain),
        ("Id", account.external_id),
        ("Owner", str(account.owner or account.owner_reported or "nobody")),
        ("AE, CSM or AM", _sales_contact(account)),
        ("Stage", account.stage_label),
        ("Why ours", account.route),
    )
    for contact in account.contacts.ranked()[:FEW]:
        role = f", {contact.role}" if contact.role else ""
        never = " (do not contact)" if contact.do_not_contact else ""
        yield f"- {contact}{role}{never}"


def _money(account: Account, numbers: Numbers) -> Iterable[str]:
    yield from _facts(
        ("Plan", account.get_plan_display()),
        ("MRR", _dollars(account.mrr)),
        ("Forecast", _dollars(account.forecast)),
        ("Next renewal", _day(account.renewal_on)),
        ("Bills paid", str(account.bills_paid)),
        ("Users", "" if account.users_count is None else str(account.users_count)),
        ("Payment risk", f"{account.get_payment_risk_display()} {account.payment_risk_reason}".strip()),
    )
    for bill in account.bills.order_by("-period_start", "-pk")[:FEW]:
        failed = f", {bill.attempts} failed" if bill.attempts else ""
        when = _day(bill.due_on or bill.period_start)
        yield f"- Bill {when}: {bill.amount} {bill.currency}, {bill.get_status_display().lower()}{failed}"


def _engagement(account: Account, numbers: Numbers) -> Iterable[str]:
    when = numbers.day_of
    yield from _facts(
        (
            "Engaged",
            f"{_day(when(account.engaged_at))} by {account.get_engaged_via_display().lower()}"
            if account.engaged_at
            else "not yet",
        ),
        ("Last outreach", _day(account.last_outreach_at and when(account.last_outreach_at))),
        ("Last reply", _day(account.last_reply_at and when(account.last_reply_at))),
        (
            "Extended until",
            f"{_day(account.extended_until)}: {account.extended_reason}" if account.extended_until else "",
        ),
    )
    for call in account.calls.all()[:FEW]:
        status = call.get_status_display().lower()
        yield f"- {call.get_kind_display()} {_day(when(call.starts_at))}: {status}"


def _goals(account: Account, numbers: Numbers) -> Iterable[str]:
    for note in account.notes.filter(kind=Note.Kind.GOALS)[:GOALS]:
        yield note.text[:LONGEST].strip()


def _alerts(account: Account, numbers: Numbers) -> Iterable[str]:
    for alert in account.alerts.open()[:FEW]:
        yield f"- {alert.kind_label}: {spoken(alert.text, numbers.today)}".rstrip(": ")


def _found(account: Account, numbers: Numbers) -> Iterable[str]:
    audit = AuditPoint.objects.audit(account)
    for point in audit.points:
        if point.pk and point.state != AuditPoint.State.NOT_RELEVANT:
            yield f"- {point.what}: {point.says.lower()}"


def _given(account: Account, numbers: Numbers) -> Iterable[str]:
    for currency, amount in sums(Credit.objects.of(account)):
        yield f"- {amount} {currency} in credits and refunds"


SECTIONS: tuple[tuple[str, Callable[[Account, Numbers], Iterable[str]]], ...] = (
    ("Who", _who),
    ("Plan and money", _money),
    ("Engagement", _engagement),
    ("Goals", _goals),
    ("Open alerts", _alerts),
    ("Audit", _found),
    ("Given back", _given),
)


def _facts(*facts: tuple[str, str]) -> Iterable[str]:
    return (f"- {label}: {value}" for label, value in facts if value)


def _sales_contact(account: Account) -> str:
    if not account.sales_contact_kind:
        return "none"
    return f"{account.sales_contact_kind} {account.sales_contact_name or account.sales_contact_email}"


def _dollars(amount: Any) -> str:
    return "" if amount is None else f"${amount:,.0f}"


def _day(day: date | None) -> str:
    return f"{day:%-d %b %Y}" if day else ""
