"""Importing a file of accounts: by hand, by the command, and what came of it."""

from pathlib import Path

from apps.crm.models import Account, AccountLabel, Contact, Label, StageTransition, User
from apps.intake.columns import suggested
from apps.intake.files import Table
from apps.intake.imports import Import
from apps.intake.loading import take_in
from tests.factories import NOW

DATA = Path(__file__).parent / "data"
SAMPLE = DATA / "vitally" / "accounts.csv"
DIRTY = DATA / "vitally-dirty" / "accounts.csv"

TABLES = (Account, AccountLabel, Contact, Import, Label, StageTransition, User)


def everything():
    return [list(model.objects.order_by("pk").values()) for model in TABLES]


def told(*rows, header="external_id,name"):
    return "\n".join([header, *rows, ""]).encode()


def took(file, *, held_by="", by=None, now=NOW):
    table = Table(file)
    return take_in(table, suggested(table.header), now=now, by=by, held_by=held_by)


def counts(outcome):
    return outcome.created, outcome.updated, outcome.unchanged, outcome.rejected


XLSX = b"PK\x03\x04" + b"\x00" * 100
STAGED = "external_id,name,stage,stage_since,Segments"
