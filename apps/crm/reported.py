"""The temporary table in which reported rows are held: its columns, and a row as it holds it."""

from __future__ import annotations

from collections.abc import Mapping
from json import dumps
from typing import Any

# The columns of an account that are reported, and their types. A bit of `given` says which a row names.
COLUMNS = {
    "name": "text",
    "domain": "text",
    "plan": "text",
    "mrr": "numeric",
    "forecast": "numeric",
    "forecast_at": "timestamptz",
    "credit_use": "numeric",
    "bills_reported": "integer",
    "next_renewal_on": "date",
    "contract_renewal_on": "date",
    "plan_ends_on": "date",
    "users_count": "integer",
    "stripe_customer_id": "text",
    "contacted_sales": "boolean",
    "sales_contact_kind": "text",
    "sales_contact_name": "text",
    "sales_contact_email": "text",
    "owner_id": "bigint",
    "owner_reported": "text",
    "payment_risk": "text",
}
BIT = {column: 1 << position for position, column in enumerate(COLUMNS)}
_RENAMED = {"bills_paid": "bills_reported", "owner": "owner_id"}
_NO_SALES_CONTACT = {"kind": "", "name": "", "email": ""}

TABLE = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS reported (
    row integer, external_id text, given bigint, {", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())},
    contacts jsonb, labels text[], more_labels text[],
    stage text, stage_since timestamptz, stage_written text, quarantine text,
    account_id bigint, created boolean NOT NULL DEFAULT false, changed boolean NOT NULL DEFAULT false
) ON COMMIT DELETE ROWS;
DELETE FROM reported
"""
_LABELLED = ("labels", "more_labels")
_PLACED = ("stage", "stage_since", "stage_written", "quarantine")
_COPIED = ("row", "external_id", "given", *COLUMNS, "contacts", *_LABELLED, *_PLACED)
_PLACE = {column: place for place, column in enumerate(_COPIED)}
COPY = f"COPY reported ({', '.join(_COPIED)}) FROM STDIN"


def copied(number: int, row: Mapping[str, Any]) -> list[Any]:
    """One row as the temporary table holds it."""
    # Only what the row names is looked at, which is little of what it might.
    cells: list[Any] = [None] * len(_COPIED)
    given = 0
    for name, value in row.items():
        if name == "sales_contact":
            parts = {f"sales_contact_{part}": said for part, said in (value or _NO_SALES_CONTACT).items()}
        else:
            parts = {_RENAMED.get(name, name): dumps(value) if name == "contacts" else value}
        for column, said in parts.items():
            cells[_PLACE[column]] = said
            given |= BIT.get(column, 0)
    cells[_PLACE["row"]], cells[_PLACE["given"]] = number, given
    return cells
