"""The import of account files: what is read, what is refused, and that it is all or nothing."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command

from apps.crm.models import Account, AccountLabel, Label, Policy, StageTransition, User
from apps.crm.pipeline import Stage
from apps.crm.reporting import Report
from apps.intake.columns import suggested
from apps.intake.files import Table
from apps.intake.imports import Import
from apps.intake.loading import preview
from tests.factories import NOW, account, days, user
from tests.importing import DATA, DIRTY, SAMPLE, STAGED, counts, everything, told, took


def looked(file, *, now=NOW):
    table = Table(file)
    return preview(table, suggested(table.header), now=now)


def commanded(capsys, *args):
    code = 0
    try:
        call_command("import_accounts", *map(str, args))
    except SystemExit as stopped:
        code = stopped.code
    return code, capsys.readouterr().out.splitlines()


# The samples


@pytest.mark.django_db
def test_the_sample_loads_whole_and_a_second_time_changes_nothing(capsys):
    specialist = user(email="Specialist@onramp.example")
    code, lines = commanded(capsys, SAMPLE)
    assert (code, lines[-1]) == (0, "created 640, updated 0, unchanged 0, rejected 0, quarantined 9")
    made = Import.objects.get()
    assert Account.objects.filter(held_by=f"import:{made.pk}").count() == 640
    assert Account.objects.filter(owner=specialist, owner_reported="").count() == 213
    assert Account.objects.filter(owner=None, owner_reported="specialist2@onramp.example").count() == 218
    assert User.objects.count() == 1
    assert "no login here, kept as text: owner “specialist2@onramp.example” of 218 accounts" in lines
    assert Account.objects.exclude(stage="").count() == 631
    assert StageTransition.objects.filter(cause="import", version=1).count() == 631
    assert {(made.state, made.rows, made.progress, made.outcome["created"])} == {("done", 640, 100, 640)}

    before = [everything()[0], *everything()[4:]]
    code, lines = commanded(capsys, SAMPLE)
    assert (code, lines[-1]) == (0, "created 0, updated 0, unchanged 640, rejected 0, quarantined 9")
    assert [everything()[0], *everything()[4:]] == before


@pytest.mark.django_db
def test_a_row_of_the_sample_arrives_with_all_it_says():
    took(SAMPLE.read_bytes(), held_by="import:7")
    made = Account.objects.get(external_id="1818e811-892f-402b-923f-0824128b2f33")
    since = datetime(2026, 9, 28, tzinfo=UTC)
    assert (made.name, made.domain, made.plan) == (
        "Kestrel Robotics 8",
        "kestrelrobotics8.example",
        "pay_as_you_go",
    )
    assert (made.mrr, made.forecast, made.users_count) == (Decimal("67.66"), Decimal("52.16"), 32)
    assert (made.bills_paid, made.next_renewal_on, made.stripe_customer_id) == (
        0,
        date(2026, 12, 4),
        "cus_UBUBHTEPTUTXDU",
    )
    assert (made.stage, made.stage_since, made.version) == (Stage.PAID_CALL, since, 1)
    assert (made.engaged_at, made.engaged_via) == (since, "purchase")
    assert (made.held_by, made.labels.count(), made.reported_by, made.changed_at) == (
        "import:7",
        0,
        "import",
        NOW,
    )
    sales = Account.objects.filter(sales_contact_kind="AE", sales_contact_email="ae@onramp.example")
    assert sales.count() == 29
    assert Account.objects.filter(payment_risk="high", payment_risk_at=NOW).count() == 33


@pytest.mark.django_db
def test_the_dirty_sample_writes_nothing_and_names_each_bad_line(capsys):
    before = everything()
    code, lines = commanded(capsys, DIRTY)
    assert (code, lines[-1]) == (1, "created 0, updated 0, unchanged 0, rejected 6, quarantined 0")
    bad = [line for line in lines if line.startswith("line ") and "quarantined" not in line]
    assert [line.partition(" is no stage")[0] for line in bad] == [
        "line 5: Next Renewal Date “2026-02-30” is not a day of the calendar.",
        "line 9: MRR “1.234,50” is not a plain number with up to two decimals, such as 1234.50.",
        "line 14: External ID “8436e370-86ec-48fa-9e8b-756f4e0bd127” stands here twice, first at 13.",
        "line 19: Onboarding Pipeline “8. Something Else”",
        "line 31: Users Count “\uff11\uff12” is not a whole number, such as 12.",
        "line 33: External ID is missing.",
    ]
    assert everything() == before
    assert not any("\u202e" in line for line in lines)


@pytest.mark.django_db
def test_the_command_answers_in_json_and_a_dry_run_writes_nothing(capsys):
    before = everything()
    code, lines = commanded(capsys, SAMPLE, "--dry-run", "--json")
    assert (code, json.loads("".join(lines))) == (0, {
        "created": 640, "updated": 0, "unchanged": 0, "rejected": 0, "quarantined": 9, "errors": [],
    })  # fmt: skip
    code, lines = commanded(capsys, DIRTY, "--json")
    answer = json.loads("".join(lines))
    assert (code, answer["rejected"], len(answer["errors"])) == (1, 6, 6)
    assert answer["errors"][0] == {
        "line": 5, "column": "Next Renewal Date", "value": "2026-02-30", "error": "is not a day of the calendar.",
    }  # fmt: skip
    code, lines = commanded(capsys, DATA / "absent.csv")
    assert code == 1
    assert "cannot be read: No such file or directory." in lines[0]
    assert everything() == before


@pytest.mark.django_db
def test_accounts_are_held_unless_the_playbooks_are_asked_to_run(capsys, tmp_path):
    renews = (datetime.now(UTC) + timedelta(days=5)).date()
    file = tmp_path / "few.csv"
    file.write_bytes(told(f"a-1,One,2,{renews}", header="external_id,name,stage,next_renewal_on").replace(
        b",2,", b",2. Onboarding Initiated,"))  # fmt: skip
    commanded(capsys, file, "--run-playbooks")
    made = Account.objects.get()
    assert (made.held_by, made.stage) == ("", Stage.AWAITING_FINAL_OUTREACH)
    assert made.transitions.first().cause == "playbook:final-outreach-due"


# Stages


@pytest.mark.django_db
def test_a_first_load_stands_since_the_teams_midnight_and_never_in_the_future():
    Policy.objects.create(name="time_zone", value="America/New_York", starts_on=date(2026, 1, 1))
    took(told("a-1,A,3B. engaged - call booked,2026-11-01,", "a-2,B,new,2026-11-02T10:00:00Z,",
              "a-3,C,1. New Account,2027-01-01,", "a-4,D,6d,,".replace("6d", "churned"), "a-5,E,,2026-11-01,",
              header=STAGED))  # fmt: skip
    held = Account.objects.order_by("external_id").values_list(
        "stage", "stage_since", "engaged_at", "version"
    )
    midnight = datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert [*held] == [
        ("call_booked", midnight, midnight, 1),
        ("new", datetime(2026, 11, 2, 10, tzinfo=UTC), None, 1),
        ("new", NOW, None, 1),
        ("churned", NOW, None, 1),
        ("", None, None, 0),
    ]
    assert [row.at for row in StageTransition.objects.order_by("account__external_id")] == [
        midnight, datetime(2026, 11, 2, 10, tzinfo=UTC), NOW, NOW,
    ]  # fmt: skip


@pytest.mark.django_db
def test_a_stage_of_old_is_quarantined_with_its_label_until_a_person_places_it():
    file = told("a-1,A,3. Onboarded,2026-01-01,", "a-2,B,4. Nurture,2026-10-01,", header=STAGED)
    outcome = took(file)
    assert outcome.quarantined == ([(2, "a-1", "A", "3. Onboarded")], 1)
    made = Account.objects.get(external_id="a-1")
    assert (made.stage, made.version, made.quarantine) == ("", 0, "3. Onboarded")
    assert [label.name for label in made.labels.all()] == ["legacy: 3. Onboarded"]
    assert Account.objects.get(external_id="a-2").stage == Stage.INTRO_CALL_COMPLETED
    assert list(Account.objects.released()) == [Account.objects.get(external_id="a-2")]

    assert counts(took(file, now=NOW + days(1))) == (0, 0, 2, 0)
    made.move(Stage.NEW, by=user(), now=NOW, cause="board")
    outcome = took(file, now=NOW + days(1))
    assert outcome.quarantined == ([], 0)
    assert outcome.differing == ([(2, "a-1", "A", "3. Onboarded", "new")], 1)


@pytest.mark.django_db
def test_a_file_moves_nobody_who_is_here_but_lists_whose_stage_differs():
    account(Stage.INITIATED, external_id="a-1", name="A")
    account(Stage.NEW, external_id="a-2", name="B")
    account(external_id="a-3", name="C")
    before = everything()
    outcome = took(
        told("a-1,A,6d. Churned,2026-01-01,", "a-2,B,1. New Account,,", "a-3,C,new,,", header=STAGED)
    )
    assert counts(outcome) == (0, 0, 3, 0)
    assert outcome.differing == (
        [(2, "a-1", "A", "6d. Churned", "initiated"), (4, "a-3", "C", "new", "")], 2,
    )  # fmt: skip
    assert everything() == before


@pytest.mark.django_db
def test_segments_of_old_become_labels_and_those_we_derive_do_not():
    account(external_id="a-1", name="A").labels.add(Label.objects.create(name="Ours"))
    took(
        told(
            "a-1,A,,,Onboarding Lead; Onboarding - engaged",
            "a-2,B,,,Onboarding Lead 100-500MRR",
            header=STAGED,
        )
    )
    assert [*AccountLabel.objects.order_by("pk").values_list("account__external_id", "label__name")] == [
        ("a-1", "Ours"), ("a-1", "legacy: Onboarding - engaged"),
    ]  # fmt: skip


# All or nothing


@pytest.mark.django_db
def test_a_failure_in_the_middle_leaves_nothing(monkeypatch):
    account(external_id="a-1", name="A")
    before = everything()

    def breaks(self, **about):
        assert Account.objects.count() == 3
        raise RuntimeError("the power went")

    monkeypatch.setattr(Report, "_place", breaks)
    with pytest.raises(RuntimeError):
        took(told("a-1,Changed", "a-2,B", "a-3,C"))
    assert everything() == before


@pytest.mark.django_db
def test_a_preview_says_what_the_import_then_does():
    took(told("a-1,A", "a-2,B"))
    file = told("a-1,A", "a-2,Bee", "a-3,C")
    before = everything()
    assert counts(looked(file)) == (1, 1, 1, 0)
    assert everything() == before
    assert counts(took(file)) == (1, 1, 1, 0)
