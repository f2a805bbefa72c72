"""Vitally's folder of exports, and the pages on what its stages mean here: quarantine and drift."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.crm.fields import Unreadable
from apps.crm.models import (
    Account,
    AccountLabel,
    Contact,
    Label,
    Note,
    StageTransition,
    Task,
    TheirStage,
    User,
)
from apps.crm.models.account import AccountQuerySet
from apps.crm.pipeline import Stage
from apps.intake.imports import Import
from apps.intake.markdown import markdown
from apps.intake.vitally import take_in
from tests.factories import NOW, account, days, user

DATA = Path(__file__).parent / "data"
SAMPLE = DATA / "vitally"
DIRTY = DATA / "vitally-dirty"

TABLES = (Account, AccountLabel, Contact, Label, Note, StageTransition, Task, TheirStage, User)

HEADERS = {
    "accounts.csv": "Account Name,External ID,Onboarding Pipeline,Onboarding Pipeline: updated",
    "users.csv": "Email,Name,Account External ID,Role,Last Seen",
    "notes.csv": "ID,Account External ID,Author,Created At,Subject,Note",
    "tasks.csv": "ID,Account External ID,Name,Due Date,Assignee,Completed At",
}


def everything():
    return [list(model.objects.order_by("pk").values()) for model in TABLES]


def imported(capsys, folder, *args):
    code = 0
    try:
        call_command("import_vitally", "--folder", str(folder), *args)
    except SystemExit as stopped:
        code = stopped.code
    return code, capsys.readouterr().out.splitlines()


@pytest.fixture
def export(tmp_path):
    """Write a folder of exports; lists of cells by file, headers alone where nothing is said."""

    def write(**files):
        for name, header in HEADERS.items():
            with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
                rows = files.get(name.removesuffix(".csv"), [])
                csv.writer(file).writerows([header.split(","), *rows])
        return tmp_path

    return write


# The samples


@pytest.mark.django_db
def test_the_sample_loads_whole_and_a_second_time_changes_no_row(capsys):
    specialist = user(email="specialist@onramp.example")
    code, lines = imported(capsys, SAMPLE)
    assert (code, lines[-4:]) == (0, [
        "users: created 1029, unchanged 0",
        "notes: created 221, unchanged 0",
        "tasks: created 196, unchanged 0",
        "created 640, updated 0, unchanged 0, rejected 0, quarantined 9",
    ])  # fmt: skip
    assert [m.objects.count() for m in (Account, Contact, Note, Task)] == [640, 1029, 221, 196]
    assert "no login here, kept as text: author “specialist2@onramp.example” of 102 notes" in lines
    assert "no login here, kept as text: assignee “specialist2@onramp.example” of 64 tasks" in lines
    assert Note.objects.filter(author=specialist, author_reported="").count() == 119
    assert Task.objects.filter(assignee=None, assignee_reported="").count() == 66
    assert Task.objects.filter(done_at__isnull=False).count() == 59
    assert User.objects.count() == 1
    assert Account.objects.filter(notes_count=1).count() == 221
    assert Account.objects.recount() == 0
    made = Import.objects.get()
    assert Account.objects.filter(held_by=made.hold, reported_by="vitally").count() == 640
    assert not Account.objects.drifted().exists()

    before = everything()
    with CaptureQueriesContext(connection) as queries:
        code, lines = imported(capsys, SAMPLE, "--json")
    assert (code, json.loads(lines[-1])) == (0, {
        "created": 0, "updated": 0, "unchanged": 640, "rejected": 0, "quarantined": 9, "errors": [],
        "files": {
            "users": {"created": 0, "unchanged": 1029},
            "notes": {"created": 0, "unchanged": 221},
            "tasks": {"created": 0, "unchanged": 196},
        },
    })  # fmt: skip
    assert everything() == before
    assert len(queries) < 60


@pytest.mark.django_db
def test_the_dirty_sample_writes_nothing_and_names_each_bad_line_of_each_file(capsys):
    before = everything()
    code, lines = imported(capsys, DIRTY)
    assert (code, lines[-1]) == (1, "created 0, updated 0, unchanged 0, rejected 14, quarantined 0")
    absent = "is no account of accounts.csv, nor one that is here."
    lost, nameless = "3f0a3dc9-c331-4574-959b-c00977c84c6f", "8ce66089-2505-400e-9576-70b24cae008b"
    assert [line.partition(" is no stage")[0] for line in lines if ".csv line " in line] == [
        "accounts.csv line 5: Next Renewal Date “2026-02-30” is not a day of the calendar.",
        "accounts.csv line 9: MRR “1.234,50” is not a plain number with up to two decimals, such as 1234.50.",
        "accounts.csv line 14: External ID “8436e370-86ec-48fa-9e8b-756f4e0bd127” stands here twice, first at 13.",
        "accounts.csv line 19: Onboarding Pipeline “8. Something Else”",
        "accounts.csv line 31: Users Count “\uff11\uff12” is not a whole number, such as 12.",
        "accounts.csv line 33: External ID is missing.",
        *(f"users.csv line {line}: Account External ID “{lost}” {absent}" for line in (24, 25, 26)),
        *(f"users.csv line {line}: Account External ID “{nameless}” {absent}" for line in (58, 59)),
        f"notes.csv line 6: Account External ID “{lost}” {absent}",
        f"tasks.csv line 7: Account External ID “{lost}” {absent}",
        f"tasks.csv line 15: Account External ID “{nameless}” {absent}",
    ]
    assert everything() == before
    assert Import.objects.count() == 0
    code, lines = imported(capsys, DIRTY, "--json")
    answer = json.loads(lines[-1])
    assert (code, len(answer["errors"])) == (1, 14)
    assert answer["errors"][0] == {
        "file": "accounts.csv", "line": 5, "column": "Next Renewal Date", "value": "2026-02-30",
        "error": "is not a day of the calendar.",
    }  # fmt: skip


@pytest.mark.django_db
def test_a_dry_run_says_the_same_and_writes_nothing(capsys):
    before = everything()
    code, lines = imported(capsys, SAMPLE, "--dry-run")
    assert (code, lines[-1]) == (0, "created 640, updated 0, unchanged 0, rejected 0, quarantined 9")
    assert "notes: created 221, unchanged 0" in lines
    assert (everything(), Import.objects.count()) == (before, 0)


# All or nothing


@pytest.mark.django_db
def test_a_failure_in_the_middle_leaves_nothing(monkeypatch):
    before = everything()

    def breaks(self):
        assert (Account.objects.count(), Note.objects.count(), Task.objects.count()) == (640, 221, 196)
        raise RuntimeError("the power went")

    monkeypatch.setattr(AccountQuerySet, "recount", breaks)
    with pytest.raises(RuntimeError):
        call_command("import_vitally", "--folder", str(SAMPLE))
    assert (everything(), Import.objects.count()) == (before, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("file", "row", "says"),
    [
        ("users", ["nobody", "Kim", "a-1", "", ""], "Email “nobody” is not an e-mail address."),
        ("users", ["", "Kim", "a-1", "", ""], "Email is missing."),
        ("users", ["k@x.example", "Kim", "", "", ""], "Account External ID is missing."),
        (
            "users",
            ["k@x.example", "Kim", "a-1", "", "2026-02-30"],
            "Last Seen “2026-02-30” is not a day of the calendar.",
        ),
        ("notes", ["", "a-1", "", "2026-11-01T10:00:00Z", "", "x"], "ID is missing."),
        ("notes", ["n-2", "a-1", "", "", "", "x"], "Created At is missing."),
        (
            "notes",
            ["n-2", "a-1", "", "2026-11-01T10:00:00Z", "", "<p></p>"],
            "Note is missing, and there is no subject.",
        ),
        ("notes", ["n-1", "a-1", "", "2026-11-01T10:00:00Z", "", "x"], "ID “n-1” stands here twice, first at 2."),
        ("notes", ["n-2", "a-1", "", "2026-11-01T10:00:00Z", "", "x" * 20_001], "is longer than 20,000 characters."),
        ("tasks", ["t-2", "a-1", "", "2026-12-01", "", ""], "Name is missing."),
        ("tasks", ["t-2", "a-1", "Call", "", "", ""], "Due Date is missing."),
        ("tasks", ["t-2", "a-1", "Call", "2026-12-01", "", "soon"], "Completed At “soon” is not a time"),
        ("tasks", ["t-2", "a-9", "Call", "2026-12-01", "", ""], "Account External ID “a-9” is no account"),
        ("tasks", ["t-2", "a-1", "Call"], "has 3 cells where the header has 6."),
    ],
)  # fmt: skip
def test_one_bad_line_of_any_file_keeps_the_folder_out_and_is_named(capsys, export, file, row, says):
    good = {
        "users": ["a@x.example", "Ann", "a-1", "Owner", "2026-11-01"],
        "notes": ["n-1", "a-1", "", "2026-11-01T10:00:00Z", "Hello", "World"],
        "tasks": ["t-1", "a-1", "Call", "2026-12-01", "", ""],
    }
    before = everything()
    rows = {name: [line, row] if name == file else [line] for name, line in good.items()}
    code, lines = imported(capsys, export(accounts=[["One", "a-1", "1. New Account", ""]], **rows))
    named = [line for line in lines if line.startswith(f"{file}.csv line 3: ")]
    assert (code, len(named)) == (1, 1)
    assert says in named[0]
    assert (everything(), Import.objects.count()) == (before, 0)


@pytest.mark.django_db
def test_a_file_that_is_missing_or_no_table_is_named_beside_the_bad_lines_of_the_others(capsys, export):
    folder = export(accounts=[["One", "", "", ""]])
    (folder / "users.csv").unlink()
    (folder / "notes.csv").write_text("ID,Note\n1,x\n")
    (folder / "tasks.csv").write_bytes(b"PK\x03\x04")
    code, lines = imported(capsys, folder)
    assert code == 1
    assert [line for line in lines if ".csv" in line] == [
        "accounts.csv line 2: External ID is missing.",
        "users.csv: The file cannot be read: No such file or directory.",
        "notes.csv line 1: The file has no column “Account External ID”.",
        "tasks.csv: This is a spreadsheet (.xlsx), not a CSV file: save it as CSV, UTF-8.",
    ]
    (folder / "accounts.csv").unlink()
    code, lines = imported(capsys, folder)
    assert (code, lines[0]) == (1, "accounts.csv: The file cannot be read: No such file or directory.")
    assert Import.objects.count() == 0


# What a row becomes


@pytest.mark.django_db
def test_people_notes_and_tasks_arrive_with_all_they_say(export):
    ann = user(email="Ann@onramp.example")
    take_in(
        export(
            accounts=[["One", "a-1", "", ""]],
            users=[["KIM@x.example", "Kim", "a-1", "Owner", ""], ["kim@x.example", "", "a-1", "Admin", ""]],
            notes=[["n-1", "a-1", "ann@onramp.example", "2026-11-01T10:00:00Z", "Intro *call*",
                    "<p>2 &lt; 3 &amp; <b>so</b><br>on</p><script>x()</script>"]],
            tasks=[["t-1", "a-1", "Call", "2026-12-01", "Bob", "2026-11-02T10:00:00Z"],
                   ["t-2", "a-1", "Write", "2026-12-02", "ann@onramp.example", ""]],
        ),
        now=NOW,
    )  # fmt: skip
    one = Account.objects.get()
    assert [*one.contacts.values_list("email", "name", "role")] == [("kim@x.example", "Kim", "Admin")]
    note = one.notes.get()
    assert note.text == "**Intro \\*call\\***\n\n2 < 3 & **so**  \non"
    assert (note.author, note.created_at) == (ann, datetime(2026, 11, 1, 10, tzinfo=UTC))
    done, todo = one.tasks.order_by("external_id")
    assert (done.done_at, done.assignee, done.assignee_reported) == (
        datetime(2026, 11, 2, 10, tzinfo=UTC), None, "Bob",
    )  # fmt: skip
    assert (todo.done_at, todo.assignee, str(todo.due_on)) == (None, ann, "2026-12-02")
    assert (one.notes_count, str(one.next_task_on)) == (1, "2026-12-02")


@pytest.mark.django_db
def test_accounts_here_already_get_what_is_new_and_keep_what_we_made_of_the_rest(export):
    here = account(Stage.NEW, external_id="here", name="Ours")
    folder = export(
        accounts=[["One", "a-1", "", ""]],
        users=[["kim@x.example", "Kim", "here", "", ""]],
        notes=[["n-1", "here", "", "2026-11-01T10:00:00Z", "", "<i>first</i>"]],
        tasks=[["t-1", "here", "Call", "2026-12-01", "", ""]],
    )
    outcome = take_in(folder, now=NOW)
    assert (outcome.created, outcome.updated, outcome.unchanged) == (1, 1, 0)
    here.refresh_from_db()
    assert (here.name, here.notes_count, str(here.next_task_on)) == ("Ours", 1, "2026-12-01")
    Note.objects.update(text="mended")
    Task.objects.get().finish(by=user(), now=NOW)
    before = everything()
    take_in(folder, now=NOW + days(1))
    assert everything() == before


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("plain", "plain"),
        ("https://x.example", "https://x.example"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ('<a href="https://x.example">x</a>', "[x](https://x.example)"),
        ('<a href="javascript:x()">x</a>', "x"),
        ('<img src="https://t.example/1.gif" onerror="x()">', ""),
        ("<style>p{}</style><iframe src=x></iframe><p onclick=x()>a</p>", "a"),
        ("&lt;script&gt;x&lt;/script&gt; &amp;lt; R&amp;D", "\\<script>x\\</script> \\&lt; R&D"),
        ("<h2>Goals</h2><p>a*b_c</p>", "## Goals\n\na\\*b\\_c"),
    ],
)
def test_html_becomes_markdown_that_says_the_same_and_does_nothing(html, expected):
    assert markdown(html) == expected


def test_html_nested_too_deeply_is_refused_in_words():
    with pytest.raises(Unreadable, match="nested too deeply"):
        markdown("<b>" * 20_000)


# Drift


PIPELINE = ["One", "a-1", "2. Onboarding Initiated", "2026-11-01"]


def shown(client, name):
    answer = client.get(reverse(name))
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.django_db
def test_drift_shows_what_is_moved_after_an_import_until_both_agree(client, export):
    client.force_login(user("viewer"))
    assert "No import has said a stage yet." in shown(client, "web:drift")
    take_in(export(accounts=[PIPELINE, ["Two", "a-2", "1. New Account", ""]]), now=NOW)
    assert "Every account stands where the last import put it." in shown(client, "web:drift")

    Account.objects.get(external_id="a-1").move(Stage.ENGAGED_EMAIL, by=user(), now=NOW, cause="list")
    page = shown(client, "web:drift")
    assert "1 differs" in page
    assert "<bdi>2. Onboarding Initiated</bdi>" in page
    assert "3a. Engaged — Email" in page
    assert "<bdi>Two</bdi>" not in page

    take_in(export(accounts=[PIPELINE]), now=NOW + days(1))
    assert [str(one) for one in Account.objects.drifted()] == ["One"]
    take_in(export(accounts=[[*PIPELINE[:2], "3a. engaged - email", "2026-11-21"]]), now=NOW + days(2))
    assert "Every account stands where the last import put it." in shown(client, "web:drift")

    take_in(export(accounts=[[*PIPELINE[:2], "6d. Churned", "2026-11-22"]]), now=NOW + days(3))
    assert [str(one.their_stage) for one in Account.objects.drifted()] == ["6d. Churned"]


@pytest.mark.django_db
def test_an_account_in_quarantine_is_no_drift_until_it_is_placed(export):
    folder = export(accounts=[["One", "a-1", "3. Onboarded", ""]])
    take_in(folder, now=NOW)
    assert not Account.objects.drifted().exists()
    Account.objects.get().move(Stage.NEW, by=user(), now=NOW, cause="list")
    take_in(folder, now=NOW + days(1))
    assert [one.their_stage.written for one in Account.objects.drifted()] == ["3. Onboarded"]


# Quarantine


@pytest.mark.django_db
def test_a_person_places_an_account_from_the_quarantine_page(client, export):
    take_in(export(accounts=[["One", "a-1", "Onboarded (Done)", ""], ["Two", "a-2", "", ""]]), now=NOW)
    one = Account.objects.get(external_id="a-1")
    person = user()
    client.force_login(person)
    page = shown(client, "web:quarantine")
    assert "1 to place" in page
    assert "<bdi>Onboarded (Done)</bdi>" in page
    assert "Enter the pipeline" in page
    assert "Churned" not in page

    given = {"to": "new", "version": one.version, "from": "quarantine"}
    answer = client.post(reverse("web:move", args=[one.pk]), given)
    assert answer.status_code == 200
    assert "0 to place" in answer.content.decode()
    assert "1. New Account" in answer.content.decode()
    assert "<form" not in answer.content.decode()
    one.refresh_from_db()
    assert (one.stage, one.quarantine, one.held_by) == (Stage.NEW, "", "")
    row = StageTransition.objects.get()
    assert (row.by, row.cause) == (person, "list")
    assert "Nothing waits to be placed." in shown(client, "web:quarantine")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("revenue", 403), ("specialist", 200), ("lead", 200)]
)
def test_viewers_read_both_pages_and_only_who_may_move_places(client, export, role, status):
    take_in(export(accounts=[["One", "a-1", "3. Onboarded", ""]]), now=NOW)
    one = Account.objects.get()
    for name in ("web:quarantine", "web:drift"):
        assert client.get(reverse(name)).status_code == 302
    client.force_login(user(role))
    assert ("Enter the pipeline" in shown(client, "web:quarantine")) == (status == 200)
    shown(client, "web:drift")
    for name in ("web:quarantine", "web:drift"):
        assert reverse(name) in shown(client, "web:imports")
        assert client.post(reverse(name)).status_code == 405
    given = {"to": "new", "version": 0, "from": "quarantine"}
    assert client.post(reverse("web:move", args=[one.pk]), given).status_code == status
    assert StageTransition.objects.count() == (1 if status == 200 else 0)


@pytest.mark.django_db
def test_both_pages_ask_the_same_number_of_queries_for_one_account_and_for_many(client, export):
    client.force_login(user())

    def asked(name, address="?page=1"):
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse(name) + address).status_code == 200
        return len(queries)

    def told(number):
        take_in(
            export(
                accounts=[
                    [f"Account {n}", f"a-{n}", ("new", "3. Onboarded")[n % 2], ""] for n in range(number)
                ]
            ),
            now=NOW,
        )
        for one in Account.objects.filter(stage=Stage.NEW):
            one.move(Stage.INITIATED, by=user(), now=NOW, cause="list")

    told(2)
    before = asked("web:quarantine"), asked("web:drift")
    told(120)
    assert (asked("web:quarantine"), asked("web:drift")) == before
    assert "Page 2 of 2" in client.get(reverse("web:drift") + "?page=99").content.decode()


@pytest.mark.django_db
def test_the_import_has_a_page_with_what_came_of_each_file(client, capsys):
    imported(capsys, SAMPLE)
    client.force_login(user("viewer"))
    page = client.get(Import.objects.get().get_absolute_url()).content.decode()
    assert "<strong>640</strong> created" in page
    assert "Users: 1,029 created, 0 unchanged" in page
    assert "<bdi>specialist2@onramp.example</bdi>: author of 102 notes" in page
