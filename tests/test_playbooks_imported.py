"""Every playbook on an imported export: a dry run names exactly whom the run then acts on."""

import json
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from django.core.management import call_command

from apps.crm.models import Account, Alert, Bill, Policy, Signal, StageTransition, Survey, Task
from apps.crm.models.bill import ReportedBill
from apps.crm.pipeline import Stage
from apps.outbox.models import Message
from apps.playbooks import engine
from apps.playbooks.models import Act, Run, Switch
from apps.playbooks.registry import PLAYBOOKS
from tests.factories import NOW, call, days, in_days, purchase, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

SAMPLE = Path(__file__).parent / "data" / "vitally"
# Everybody in the export has a stage, or one that a person must read first; these are outside the pipeline.
NEW = """external_id,name,plan,forecast,next_renewal_on
new-1,Juniper Labs,pay_as_you_go,180,2026-12-20
new-2,Harbour Foods,boost,90,2026-12-24
new-3,Quartz Mills,pay_as_you_go,2400,2026-12-20
new-4,Ember Maps,pay_as_you_go,20,2026-12-20
"""
SLICE = 7
WRITTEN = (Account, Act, Alert, Message, Run, StageTransition, Switch, Task)
_serial = count(1)


def some(number=3, **having):
    """So many of the imported accounts."""
    return Account.objects.filter(**having).order_by("pk")[:number]


def bills(accounts, status, amount, *, due, attempts=0):
    Bill.objects.report(
        [
            ReportedBill(
                external_id=f"in_{next(_serial)}",
                account_id=of.pk,
                status=status,
                amount=Decimal(amount),
                reported_at=NOW,
                period_start=in_days(due - 30),
                period_end=in_days(due),
                due_on=in_days(due),
                attempts=attempts,
            )
            for of in accounts
        ]
    )


def signals(accounts, kind):
    Signal.objects.bulk_create(
        Signal(account=of, kind=kind, external_id=f"event-{next(_serial)}", at=NOW) for of in accounts
    )


@pytest.fixture
def world(capsys, monkeypatch, tmp_path):
    """The export, a file of newer accounts, then what other systems say of some of them; slices are small."""
    monkeypatch.setattr(engine, "SLICE", SLICE)
    person = user(email="specialist@onramp.example")
    call_command("import_vitally", "--folder", str(SAMPLE))
    (tmp_path / "new.csv").write_text(NEW)
    call_command("import_accounts", str(tmp_path / "new.csv"))
    capsys.readouterr()
    bills(some(stage=Stage.ENGAGED_EMAIL), "open", 120, due=-1, attempts=1)
    bills(some(stage=Stage.INTRO_CALL_COMPLETED), "upcoming", 1500, due=7)
    grown = some(stage=Stage.CALL_BOOKED, bills_paid=0)
    for of in grown:
        of.edit(now=NOW, forecast=Decimal(2500))
    bills(grown, "open", 300, due=-1)
    for of in some(stage=Stage.OUTSIDE, quarantine=""):
        purchase(of, bought_at=NOW - days(1))
    for of, ago in zip(some(stage=Stage.PAID_CALL), (1, 13, 20), strict=False):
        call(of, "consultation", starts_at=NOW - days(ago), status="no_show", marked_at=NOW - days(ago))
    for of in some(stage=Stage.INITIATED, renewal_on__range=(in_days(15), in_days(25))):
        of.edit(now=NOW, payment_risk="high", payment_risk_at=NOW - days(40))
    signals(some(stage=Stage.ONBOARDED_ENGAGED), Signal.Kind.SUBSCRIPTION_CANCELED)
    nobody = {"sales_contact_kind": "", "sales_contact_name": "", "sales_contact_email": ""}
    signals(some(stage=Stage.SALES_HANDOFF, **nobody), Signal.Kind.SALES_DISQUALIFIED)
    for of in some(stage=Stage.AWAITING_FINAL_OUTREACH, engaged_at__isnull=False):
        of.contacts.create(email=f"{of.external_id}@mail.example")
        of.move(Stage.ONBOARDED_ENGAGED, by=person, now=NOW - days(2), cause="board")
    for of in some(stage=Stage.ONBOARDED_NO_ENGAGEMENT):
        asked = Survey.objects.create(account=of, closing=of.transitions.last(), asked_at=NOW - days(1))
        asked.answer(3, "Too slow", numbers=Policy.at(NOW))
    for of in some(stage=Stage.SECOND_CALL_COMPLETED):
        of.move(Stage.SALES_HANDOFF, by=person, now=NOW, cause="board", reason="Large")


def said(capsys, *args):
    call_command("playbooks", *args, "--json")
    return json.loads(capsys.readouterr().out)


def everything():
    """Every row of every table that a run writes to."""
    return [list(model.objects.order_by("pk").values()) for model in WRITTEN]


@pytest.mark.usefixtures("world")
def test_for_every_playbook_whom_it_is_due_for_is_whom_its_run_acts_on(capsys):
    acted = {}
    for name in PLAYBOOKS:
        before = everything()
        due, dry = said(capsys, "due", name), said(capsys, "run", name, "--dry-run")
        assert everything() == before
        done = said(capsys, "run", name)
        kept = Act.objects.filter(playbook=name).values_list("account__external_id", "because")
        # A slice is done in the order of the accounts' ids, and they are told in that of their renewals.
        assert due == dry
        assert sorted(map(str, done)) == sorted(map(str, due)), name
        assert sorted((one["external_id"], one["because"]) for one in done) == sorted(kept)
        assert said(capsys, "due", name) == said(capsys, "run", name) == []
        acted[name] = len(done)
    assert min(acted.values()) > 0, acted
    assert max(acted.values()) > SLICE
