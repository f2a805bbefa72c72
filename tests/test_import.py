"""The import of account files: what is read, what is refused, and that it is all or nothing."""

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.crm.models import Account, AccountLabel, Contact, Label, Policy, StageTransition, User
from apps.crm.pipeline import Stage
from apps.crm.reporting import Report
from apps.intake import files, imports, loading
from apps.intake.columns import COLUMNS, mapping_refusal, suggested
from apps.intake.files import Table, Unusable
from apps.intake.imports import Import
from apps.intake.jobs import run_import
from apps.intake.loading import preview, take_in
from tests.factories import NOW, account, days, user

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


def looked(file, *, now=NOW):
    table = Table(file)
    return preview(table, suggested(table.header), now=now)


def counts(outcome):
    return outcome.created, outcome.updated, outcome.unchanged, outcome.rejected


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


# Files that cannot be read as a whole


XLSX = b"PK\x03\x04" + b"\x00" * 100


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("file", "words", "line"),
    [
        (b"", "is empty", 0),
        (b"\xef\xbb\xbf\r\n", "is empty", 0),
        (b"external_id,name\n", "a header and no rows", 0),
        (b"external_id,name\n\n,\n", "a header and no rows", 0),
        (b"external_id,name,NAME \n1,2,3\n", "stands in the header twice", 1),
        ("external_id,name\n1,A\n".encode("utf-16"), "UTF-16", 0),
        ("external_id,name\n1,A\n".encode("utf-16-le"), "UTF-16", 0),
        (b"external_id,name\n1,\xff\xfe\n", "not UTF-8", 2),
        (b"external_id,name\n" + b"1,A\n" * 9000 + b"1,a\xed\xa0\x80b\n", "not UTF-8", 9002),
        (XLSX, ".xlsx", 0),
        (b'external_id,name\n1,"A\n2,B\n', "never closed", 3),
        (b'external_id,name\n1,"A" x\n', "middle of a cell", 2),
        (b"external_id,name\n1," + b"x" * 140_000 + b"\n", "131,072", 2),
        (b'external_id,name\n1,"' + b"A\n" * 90_000, "131,072", None),
        (b"external_id,name\x00\n1,A\n", "NUL", 1),
        (b"name\nA\n", "No column is imported as “External id”", 0),
        (
            b"external_id," + b",".join(b"c%d" % n for n in range(200)) + b"\n1" + b"," * 200,
            "more than 200",
            1,
        ),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_a_file_that_is_no_table_is_refused_whole(file, words, line):
    before = everything()
    with pytest.raises(Unusable) as refused:
        took(file)
    assert words in refused.value.sentence
    assert line in (None, refused.value.line)
    assert everything() == before


@pytest.mark.django_db
def test_50_001_rows_are_too_many_and_50_000_are_read(monkeypatch):
    rows = [f"a-{n},A" for n in range(50_001)]
    with pytest.raises(Unusable, match="more than 50,000 rows"):
        Table(told(*rows)).count()
    assert Table(told(*rows[:-1])).count() == 50_000
    monkeypatch.setattr(files, "MOST_ROWS", 3)
    with pytest.raises(Unusable):
        took(told(*rows[:4]))
    assert Account.objects.count() == 0
    assert counts(took(told(*rows[:3]))) == (3, 0, 0, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "file",
    [
        b"\xef\xbb\xbfexternal_id,name\r\na-1,One\r\na-2,\"Two, or\r\ntwo\"\r\n",
        b"external_id;name\na-1;One\na-2;\"Two, or\r\ntwo\"",
        b"external_id\tname\na-1\tOne\na-2\t\"Two, or\r\ntwo\"\n\n",
        b"external_id,name\ra-1,One\ra-2,\"Two, or\r\ntwo\"\r",
        b" External ID , Account Name \na-1,One\n,\na-2,\"Two, or\r\ntwo\"\n",
    ],
    ids=["BOM and CRLF", "semicolon", "tab", "CR", "blank lines"],
)  # fmt: skip
def test_every_common_writing_of_a_table_is_read(file):
    assert counts(took(file)) == (2, 0, 0, 0)
    assert [*Account.objects.order_by("external_id").values_list("external_id", "name")] == [
        ("a-1", "One"), ("a-2", "Two, or\r\ntwo"),
    ]  # fmt: skip


# Lines that cannot be read


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("header", "cell", "words"),
    [
        ("next_renewal_on", "2026-02-30", "is not a day of the calendar"),
        ("next_renewal_on", "31/12/26", "is not a date like"),
        ("next_renewal_on", "=TODAY()", "is not a date like"),
        ("next_renewal_on", "1999-12-31", "is not between the years"),
        ("mrr", '"1,234.50"', "is not a plain number"),
        ("mrr", "NaN", "is not a plain number"),
        ("mrr", "\uff11\uff12", "is not a plain number"),
        ("mrr", "=1+1", "is not a plain number"),
        ("stage", "8. Something Else", "is no stage"),
        ("stage_since", "2026-02-30", "is not a day of the calendar"),
        ("plan", "Gold", "is not a plan we know"),
        ("payment_risk", "Huge", "is not a payment risk"),
        ("contacts", "nobody", "has an entry without an e-mail"),
        ("ae", "a@b", "is not an e-mail address"),
        ("sales_contact", "CEO: Ann", "needs a kind"),
        ("labels", "x" * 81, "is longer than 80"),
        ("domain", "a\x00b", "holds a NUL character"),
        ("mrr", "1,2", "has 4 cells where the header has 3"),
    ],
)
def test_one_bad_cell_keeps_the_whole_file_out_and_is_named(header, cell, words):
    account(external_id="here", name="Here")
    before = everything()
    outcome = took(told("a-1,One,", f"a-2,Two,{cell}", "here,Changed,", header=f"external_id,name,{header}"))
    assert counts(outcome) == (1, 1, 0, 1)
    assert [(error.row, error.field) for error in outcome.errors] in (
        [(3, header)], [(3, "")],
    )  # fmt: skip
    assert words in outcome.errors[0].sentence
    assert everything() == before


@pytest.mark.django_db
def test_ids_used_twice_and_customers_of_others_are_named_by_line():
    account(external_id="here", stripe_customer_id="cus_1")
    before = everything()
    outcome = took(
        told("a-1,One,", "a-1,One,", "a-2,,", "a-3,C,cus_1", "a-4,D,", header="External ID,name,Stripe ID")
    )
    assert [(error.row, error.field, error.value) for error in outcome.errors] == [
        (3, "External ID", "a-1"), (4, "name", ""), (5, "Stripe ID", "cus_1"),
    ]  # fmt: skip
    assert counts(outcome) == (2, 0, 0, 3)
    assert everything() == before


@pytest.mark.django_db
def test_text_is_kept_as_typed_and_empty_cells_change_nothing():
    odd = '=HYPERLINK("http://x","y") \u202e<script>'
    buffer = io.StringIO()
    csv.writer(buffer).writerows([["external_id", "name", "mrr", "Mood"], ["a-1", odd, "1", "sunny"]])
    assert counts(took(buffer.getvalue().encode())) == (1, 0, 0, 0)
    assert Account.objects.get().name == odd
    assert counts(took(told("a-1,,", header="external_id,name,mrr"))) == (0, 0, 1, 0)
    assert Account.objects.get().mrr == Decimal("1.00")


@pytest.mark.django_db
def test_contacts_labels_and_people_at_sales_are_read_from_cells():
    took(told('a-1,One,"Kim <KIM@x.example>; lee@x.example",Hype; VIP,AE: Ann <ann@onramp.example>',
              header="external_id,name,contacts,labels,sales_contact"))  # fmt: skip
    took(told("a-2,Two,Bob,", "a-3,Three,,bea@onramp.example", "a-4,Four,Bob,bea@onramp.example",
              header="external_id,name,CSM,Account Executive"))  # fmt: skip
    assert [*Contact.objects.values_list("email", "name")] == [
        ("kim@x.example", "Kim"),
        ("lee@x.example", ""),
    ]
    assert {*AccountLabel.objects.values_list("label__name", flat=True)} == {"Hype", "VIP"}
    sales = ("sales_contact_kind", "sales_contact_name", "sales_contact_email")
    assert [*Account.objects.order_by("external_id").values_list(*sales)] == [
        ("AE", "Ann", "ann@onramp.example"),
        ("CSM", "Bob", ""),
        ("AE", "", "bea@onramp.example"),
        ("CSM", "Bob", ""),
    ]


# Columns


def test_headers_are_suggested_once_and_unknown_ones_not_at_all():
    with SAMPLE.open(encoding="utf-8") as sample:
        header = next(csv.reader(sample))
    assert "" not in suggested(header).values()
    assert suggested(["name", "Account Name", "Mood"]) == {"name": "name", "Account Name": "", "Mood": ""}
    assert suggested(COLUMNS) == {name: name for name in COLUMNS}


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"a": "name"}, "No column is imported as “External id”"),
        ({"a": "external_id", "b": "name", "c": "name"}, "Two columns are imported as “Name”"),
        ({"a": "external_id", "b": "version"}, "something nobody knows"),
        ({"a": "external_id", "b": ""}, ""),
    ],
)
def test_a_mapping_is_refused_in_words(mapping, words):
    assert words in mapping_refusal(mapping)
    assert bool(words) == bool(mapping_refusal(mapping))


# Stages


STAGED = "external_id,name,stage,stage_since,Segments"


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


# The job


def confirmed(file, *, by=None):
    by = by or user("lead")
    made = Import.upload("few.csv", file, by=by, now=NOW)
    assert made.confirm(1, by=by, now=NOW)
    return made


@pytest.mark.django_db
def test_the_sweep_finds_a_confirmed_import_and_carries_it_out_once():
    made = confirmed(told("a-1,A,new,,", "a-2,B,,,", header=STAGED))
    assert Account.objects.count() == 0
    run_import()
    before = [everything()[0], everything()[5]]
    made.refresh_from_db()
    assert (made.state, made.progress, made.outcome["created"], made.failure) == ("done", 100, 2, "")
    assert {*Account.objects.values_list("held_by", flat=True)} == {made.hold}
    assert StageTransition.objects.get().by == made.confirmed_by
    run_import()
    assert made.carry_out(now=NOW) is False
    assert [everything()[0], everything()[5]] == before


@pytest.mark.django_db
def test_an_import_that_has_become_wrong_fails_and_says_why():
    made = confirmed(told("a-1,A,cus_1", header="external_id,name,stripe_customer_id"))
    account(external_id="fast", stripe_customer_id="cus_1")
    run_import()
    made.refresh_from_db()
    assert (made.state, made.failure, made.outcome["errors_total"]) == (
        "failed",
        "Some lines were rejected.",
        1,
    )
    assert [*Account.objects.values_list("external_id", flat=True)] == ["fast"]


@pytest.mark.django_db(transaction=True)
def test_progress_is_seen_from_outside_while_nothing_is_written_yet(monkeypatch):
    made = confirmed(told(*(f"a-{n},A" for n in range(40))))
    other = connection.copy()
    seen = []

    def asked():
        with other.cursor() as cursor:
            cursor.execute("SELECT state, progress FROM intake_import WHERE id = %s", [made.pk])
            state, percent = cursor.fetchone()
            cursor.execute("SELECT count(*) FROM crm_account")
            seen.append((state, percent, cursor.fetchone()[0]))

    monkeypatch.setattr(loading, "TELL_EVERY", 10)
    noted = imports.Aside.progress

    def progress(aside, percent):
        noted(aside, percent)
        asked()

    monkeypatch.setattr(imports.Aside, "progress", progress)
    run_import()
    other.close()
    made.refresh_from_db()
    assert seen == [("running", percent, 0) for percent in (15, 30, 45, 60)]
    assert (made.state, made.tries, Account.objects.count()) == ("done", 1, 40)


@pytest.mark.django_db(transaction=True)
def test_one_worker_at_a_time_carries_an_import_out():
    made = confirmed(told("a-1,A"))
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [imports.LOCK, made.pk])
    assert made.carry_out(now=NOW) is False
    assert Account.objects.count() == 0
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")
    other.close()
    assert made.carry_out(now=NOW) is True
    assert Account.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_import_that_never_ends_is_given_up_visibly(monkeypatch):
    made = confirmed(told("a-1,A"))

    def breaks(self, **about):
        raise RuntimeError("the power went")

    monkeypatch.setattr(Report, "_place", breaks)
    for tries in range(1, imports.MOST_TRIES + 1):
        run_import()
        made.refresh_from_db()
        assert (made.state, made.tries) == ("running", tries)
    run_import()
    made.refresh_from_db()
    assert (made.state, made.failure) == ("failed", "It was tried 3 times and never came to its end.")
    assert Account.objects.count() == 0


@pytest.mark.django_db
def test_forgotten_previews_go_and_old_files_are_dropped():
    lead = user("lead")
    old = Import.upload("old.csv", told("a-1,A"), by=lead, now=NOW)
    done = confirmed(told("a-1,A"), by=lead)
    done.carry_out(now=NOW)
    Import.objects.forget(now=NOW + days(6))
    assert Import.objects.count() == 2
    Import.objects.forget(now=NOW + days(91))
    assert not Import.objects.filter(pk=old.pk).exists()
    assert bytes(Import.objects.get(pk=done.pk).file) == b""


# The pages


@pytest.fixture
def lead(client):
    person = user("lead")
    client.force_login(person)
    return person


def posted(client, file, name="few.csv"):
    return client.post(reverse("web:imports"), {"file": SimpleUploadedFile(name, file, "text/csv")})


@pytest.mark.django_db
def test_a_lead_uploads_chooses_columns_confirms_and_releases(client, lead):
    answer = posted(client, told("a-1,A,<b>x,new", "a-2,B,y,", header="external_id,Title,Mood,stage"))
    made = Import.objects.get()
    assert answer.url == made.get_absolute_url()
    page = client.get(answer.url).content.decode()
    assert "is missing, and the account is new." in page
    assert "Import 2 rows" not in page

    chosen = {"column-0": "external_id", "column-1": "name", "column-2": "", "column-3": "stage"}
    client.post(reverse("web:import_columns", args=[made.pk]), chosen)
    page = client.get(answer.url).content.decode()
    assert "<strong>2</strong> created" in page
    assert "Not imported: <bdi>Mood</bdi>." in page
    assert "Import 2 rows" in page
    assert Account.objects.count() == 0

    client.post(reverse("web:import_confirm", args=[made.pk]), {"revision": "2"})
    page = client.get(answer.url).content.decode()
    assert "hx-trigger" in page
    assert "Waiting: 0% of 2 rows" in page
    assert client.get(reverse("web:import_progress", args=[made.pk])).status_code == 200
    run_import()
    assert client.get(reverse("web:import_progress", args=[made.pk])).headers["HX-Refresh"] == "true"
    page = client.get(answer.url).content.decode()
    assert "The playbooks pass over 2 accounts of this import." in page

    client.post(reverse("web:import_release", args=[made.pk]))
    made.refresh_from_db()
    assert (made.released_by, Account.objects.filter(held_by="").count()) == (lead, 2)
    assert f"Released by {lead}" in client.get(answer.url).content.decode()


@pytest.mark.django_db
def test_a_preview_is_confirmed_once_and_only_as_it_was_seen(client, lead):
    posted(client, told("a-1,A"))
    made = Import.objects.get()
    confirm = reverse("web:import_confirm", args=[made.pk])
    for forged in ("", "0", "2", "x", "\uff11", "9" * 30):
        client.post(confirm, {"revision": forged})
        made.refresh_from_db()
        assert (made.state, made.confirmed_by) == ("previewed", None)
    client.post(confirm, {"revision": "1"})
    first = Import.objects.values().get()
    answer = client.post(confirm, {"revision": "1"}, follow=True)
    assert "Somebody has changed or confirmed this import meanwhile" in answer.content.decode()
    client.post(reverse("web:import_columns", args=[made.pk]), {"column-0": "name"})
    assert Import.objects.values().get() == first


@pytest.mark.django_db
def test_a_preview_with_bad_lines_is_never_confirmed(client, lead):
    answer = posted(client, DIRTY.read_bytes(), "dirty.csv")
    made = Import.objects.get()
    page = client.get(answer.url).content.decode()
    assert "<bdi>2026-02-30</bdi>" in page
    assert "&lt;script&gt;" in page or "<script>alert" not in page
    client.post(reverse("web:import_confirm", args=[made.pk]), {"revision": "1"})
    made.refresh_from_db()
    assert (made.state, Account.objects.count()) == ("previewed", 0)


@pytest.mark.django_db
def test_an_unusable_upload_says_why_and_keeps_nothing(client, lead):
    for file, words in ((XLSX, "spreadsheet"), (b'external_id,name\n1,"A\n', "Line 2: A quote is opened")):
        answer = posted(client, file)
        assert answer.status_code == 422
        assert words in answer.content.decode()
    assert "Choose a file first." in client.post(reverse("web:imports")).content.decode()
    assert Import.objects.count() == 0
    assert client.get("/import/99999999999999999999/").status_code == 404
    assert client.get(reverse("web:import_confirm", args=[1])).status_code == 405


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "uploads", "confirms"),
    [
        ("viewer", 403, 403),
        ("revenue", 403, 403),
        ("specialist", 302, 403),
        ("lead", 302, 302),
        ("admin", 302, 302),
    ],
)
def test_each_role_may_what_it_may(client, role, uploads, confirms):
    made = Import.upload("few.csv", told("a-1,A"), by=user("lead"), now=NOW)
    assert client.get(reverse("web:imports")).status_code == 302
    client.force_login(user(role))
    assert client.get(reverse("web:imports")).status_code == 200
    page = client.get(made.get_absolute_url())
    assert (page.status_code, b"Import 1 rows" in page.content) == (200, confirms == 302)
    assert posted(client, told("a-2,B")).status_code == uploads
    assert client.post(reverse("web:import_columns", args=[made.pk]), {}).status_code == uploads
    if uploads == 302:
        made.remap({"external_id": "external_id", "name": "name"}, now=NOW)
    revision = Import.objects.get(pk=made.pk).revision
    assert (
        client.post(reverse("web:import_confirm", args=[made.pk]), {"revision": revision}).status_code
        == confirms
    )
    assert client.post(reverse("web:import_release", args=[made.pk])).status_code == confirms
    assert Import.objects.get(pk=made.pk).state == ("queued" if confirms == 302 else "previewed")


@pytest.mark.django_db
def test_the_pages_ask_the_same_number_of_queries_whatever_was_imported(client, lead):
    def asked(address):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(address).status_code == 200
        return len(queries)

    one = Import.upload("one.csv", told("a-1,A"), by=lead, now=NOW)
    before = asked(reverse("web:imports")), asked(one.get_absolute_url())
    many = Import.upload("many.csv", told(*(f"a-{n},A" for n in range(60))), by=lead, now=NOW)
    assert (asked(reverse("web:imports")), asked(many.get_absolute_url())) == before
