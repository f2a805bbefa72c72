"""An import as a job and on its pages: confirmed once, carried out once, seen by those who may."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.crm.models import Account, StageTransition
from apps.crm.reporting import Report
from apps.intake import imports, loading
from apps.intake.imports import Import
from apps.intake.jobs import run_import
from tests.factories import NOW, account, days, user
from tests.importing import DIRTY, STAGED, XLSX, everything, told

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
