"""The columns of a file of accounts: what the import reads, and behind it what only we know."""

from __future__ import annotations

import json

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef

from apps.crm.models import AccountLabel
from apps.web.csvfile import Column, plain


def _labels(names: list[str]) -> str:
    """Labels as the import reads them: with semicolons, or as JSON where one would be torn apart."""
    torn = any(name[:1] in "[{" or {",", ";"} & {*name} for name in names)
    return json.dumps(names, ensure_ascii=False) if torn else "; ".join(names)


def _sales_contact(kind: str, name: str, email: str) -> str:
    """An AE, CSM or AM as the import reads it, as JSON where a short form would say something else."""
    if not kind:
        return ""
    if {"<", ">", "@"} & {*name}:
        return json.dumps({"kind": kind, "name": name, "email": email}, ensure_ascii=False)
    person = f"{name} <{email}>".strip() if email and name else email or name
    return f"{kind}: {person}" if person else kind


def _owner(email: str | None, active: bool | None, reported: str) -> str:
    """What the import takes for the same owner again: an active colleague's address, or a name without a login."""
    return email if email and active and not reported else "" if email else reported


LABELS = ArraySubquery(
    AccountLabel.objects.filter(account=OuterRef("pk")).order_by("label__name").values("label__name")
)

# The first part is what the import reads: it finds nothing new in it. What only we know stands behind, under
# headers the import does not know, the stage among them: a file moves nobody who is here.
ACCOUNT = (
    *plain("external_id", "name", "domain", "plan", "mrr", "forecast", "forecast_at", "credit_use"),
    *plain(bills_paid="bills_reported"),
    *plain("next_renewal_on", "contract_renewal_on", "plan_ends_on", "users_count", "stripe_customer_id"),
    Column(
        "sales_contact", ("sales_contact_kind", "sales_contact_name", "sales_contact_email"), _sales_contact
    ),
    *plain("contacted_sales"),
    Column("labels", ("label_names",), _labels),
    *plain("payment_risk"),
    Column("owner", ("owner__email", "owner__is_active", "owner_reported"), _owner),
    *plain(current_stage="stage", current_stage_since="stage_since"),
    *plain("renewal_on", "version", "entered_at", "engaged_at", "engaged_via", owner_login="owner__username"),
    *plain(
        "last_outreach_at", "last_reply_at", "next_task_on", "notes_count", "open_alerts", "extended_until"
    ),
    *plain(counted_bills="bills_paid"),
    *plain("scope", "route", "held_by", "quarantine", "created_at", "changed_at"),
)

# What stands in the file for each column of the list, beside the id and the name.
OF_LIST = {
    "account": ("domain", "plan"),
    "renewal": ("next_renewal_on", "contract_renewal_on", "renewal_on"),
    "stage": ("current_stage", "current_stage_since"),
    "forecast": ("forecast", "forecast_at"),
    "owner": ("owner", "owner_login"),
    "outreach": ("last_outreach_at", "last_reply_at"),
    "task": ("next_task_on",),
    "notes": ("notes_count",),
    "users": ("users_count",),
    "labels": ("labels",),
    "alerts": ("open_alerts",),
    "risk": ("payment_risk",),
    "plan": ("plan",),
    "bills": ("bills_paid", "counted_bills"),
    "credit": ("plan_ends_on",),
    "entered": ("entered_at",),
    "route": ("route",),
    # People are taken out by their own table alone, which takes a right of its own.
    "contacts": (),
}
