"""Taking data out: every table as CSV, and everything about one account as JSON."""

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from psycopg.pq import TransactionStatus

from apps.crm.cells import as_typed, cell, inert
from apps.crm.models import (
    Account,
    AccountLabel,
    Alert,
    AuditPoint,
    Bill,
    Contact,
    Credit,
    Label,
    Signal,
    Survey,
    TheirStage,
)
from apps.crm.models.user import ADMIN, LEAD, REVENUE, ROLES
from apps.crm.pipeline import Stage
from apps.intake.models import Event
from apps.outbox.models import Message
from apps.web.exports import EXPORTS
from tests.factories import NOW, account, call, in_days, purchase, user

S = Stage
TYPED = [
    "=1+1",
    "+49 30 1",
    "-5",
    "@SUM(A1)",
    "\tTab",
    "\rReturn",
    "\nLine",
    "'=1+1",
    "''@x",
    "'quoted'",
    'Say "hi", twice; or\r\nnot',
    "Plain – dash",
    "\u202eRight to left",
    " = with a space first",
    "Größe ÷ 東京",
]


def signed_in(role="lead"):
    client = Client()
    client.person = user(role)
    client.force_login(client.person)
    return client


def table(answer):
    """The rows of an exported file as dicts."""
    content = b"".join(answer.streaming_content).decode()
    assert content.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(content[1:], newline="")))


@pytest.mark.parametrize("typed", TYPED)
def test_no_text_acts_in_a_spreadsheet_and_each_is_read_back_as_it_was_typed(typed):
    written = inert(typed)
    assert written[0] not in "=+-@\t\r\n"
    assert as_typed(written) == typed


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        (True, "true"),
        (Decimal("-12.50"), "-12.50"),
        (Decimal("1E+3"), "1000"),
        (-3, "-3"),
        ("-3", "'-3"),
        (NOW, "2026-11-21T09:00:00Z"),
        (NOW.date(), "2026-11-21"),
    ],
)
def test_numbers_and_days_are_written_plainly_and_only_text_is_made_inert(value, written):
    assert cell(value) == written


def of_everything(mark=""):
    """An account with a row in every table that is exported; another one with another mark."""
    made = account(S.INITIATED, name="Acme", mrr="-5.00", payment_risk="low", payment_risk_reason="=Late")
    Signal.objects.create(account=made, kind="sales_disqualified", external_id=f"s{mark}", at=NOW, by="=Ae")
    lead = user("lead")
    Contact.objects.create(account=made, email="ann@acme.example", name="=Ann")
    made.add_note("-note", by=lead, now=NOW, kind="feedback", product="=Surveys")
    made.add_task("Do it", in_days(1), by=lead, now=NOW, assignee=lead)
    call(made, contact_email="ann@acme.example").add_host(lead)
    purchase(made, bought_at=NOW)
    Alert.objects.create(account=made, kind="renewal-unpaid", subject="period:2026-12-01", raised_at=NOW)
    Bill.objects.create(
        account=made, external_id=f"in_1{mark}", status="open", amount="12.50", reported_at=NOW
    )
    closing = made.transitions.get()
    Survey.objects.create(account=made, closing=closing, contact=made.contacts.get(), asked_at=NOW)
    made.outreaches.create(
        key=f"k{mark}", by=lead, at=NOW, way="own", to="a@acme.example", subject="Hi", text="…"
    )
    Message.objects.write([Message.slack(f"k{mark}", kind="x", subject="Hello", now=NOW, account_id=made.pk)])
    Event.objects.keep(
        provider="stripe", external_id=f"e{mark}", type="t", body=b'{"a": "\xc3\xbc"}', now=NOW
    )
    Event.objects.filter(external_id=f"e{mark}").update(account=made)
    AuditPoint.objects.look_at(made, "Billing limits", state="done", saving=None, by=lead, now=NOW, seen=None)
    Credit.objects.record(
        made,
        kind="missed_call",
        amount=Decimal(30),
        currency="USD",
        on=NOW.date(),
        why="=We",
        by=lead,
        now=NOW,
    )
    made.acts.create(playbook="x", occasion="once", at=NOW, skipped=True, by=lead)
    return made


@pytest.mark.django_db
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", EXPORTS)
def test_a_role_takes_out_what_its_rights_say_and_nothing_more(role, name):
    made, client = of_everything(), signed_in(role)
    answer = client.get(f"/export/{name}/", {"assignee": "all"} if name == "tasks" else {})
    if not client.person.may(EXPORTS[name].right):
        assert (answer.status_code, answer.streaming) == (403, False)
        return
    assert answer.streaming
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="onramp-{name}-20')
    rows = table(answer)
    assert [*rows[0]] == [column.header for column in EXPORTS[name].columns]
    assert [row.get("account", row.get("external_id")) for row in rows] == [made.external_id]


def test_revenue_and_people_are_taken_out_by_few():
    takes = {name: export.right for name, export in EXPORTS.items() if export.right != "read"}
    assert takes == {
        "bills": "export revenue",
        "risks": "export revenue",
        "purchases": "export revenue",
        "credits": "export revenue",
        "contacts": "export people",
        "surveys": "export people",
        "outreaches": "export people",
    }


@pytest.mark.django_db
def test_only_what_a_role_may_take_out_is_offered_to_it():
    offered = {
        role: {name for name in EXPORTS if f"/export/{name}/" in signed_in(role).get("/export/").text}
        for role in ROLES
    }
    with_bills = {role for role in ROLES if "bills" in offered[role]}
    with_people = {role for role in ROLES if "contacts" in offered[role]}
    assert (with_bills, with_people) == ({REVENUE, LEAD, ADMIN}, {LEAD, ADMIN})


@pytest.mark.django_db
def test_nobody_without_a_login_a_table_that_is_none_and_a_post_get_nothing():
    assert Client().get("/export/accounts/").status_code == 302
    assert signed_in().get("/export/passwords/").status_code == 404
    assert signed_in().post("/export/accounts/").status_code == 405


@pytest.mark.django_db
def test_the_file_holds_what_the_list_shows_in_its_order():
    account(S.NEW, name="Small", forecast="10")
    account(S.NEW, name="Large", forecast="900")
    account(S.NEW, name="Unknown")
    account(S.INITIATED, name="Elsewhere", forecast="500")
    account(name="Outside")
    client = signed_in()
    names = lambda query: [row["name"] for row in table(client.get(f"/export/{query}"))]  # noqa: E731
    assert names("daily/?stage=new&sort=-forecast") == ["Large", "Small", "Unknown"]
    assert names("daily/?stage=new&sort=forecast") == ["Small", "Large", "Unknown"]
    assert sorted(names("daily/")) == ["Elsewhere", "Large", "Small", "Unknown"]
    assert len(names("accounts/")) == 5
    assert names("daily/?q=%00&stage=new&sort=password&page=-1&cursor=x") == ["Small", "Large", "Unknown"]


@pytest.mark.django_db
def test_the_columns_chosen_in_the_list_are_those_of_the_file():
    account(S.NEW, forecast="10")
    rows = table(signed_in().get("/export/daily/?columns=forecast,nonsense&columns=users"))
    assert [*rows[0]] == ["external_id", "name", "forecast", "forecast_at", "users_count"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("page", "link"),
    [
        ("/?stage=new&sort=name", "/export/daily/?stage=new&amp;sort=name"),
        ("/board/?stage=new", "/export/accounts/?stage=new"),
        ("/tasks/?due=week", "/export/tasks/?due=week"),
        ("/alerts/?state=resolved", "/export/alerts/?state=resolved"),
        ("/calls/?kind=intro", "/export/calls/?kind=intro"),
        ("/outbox/?state=sent", "/export/outbox/?state=sent"),
    ],
)
def test_a_page_offers_the_file_of_just_what_it_shows(page, link):
    assert f'href="{link}"' in signed_in().get(page).text


@pytest.mark.django_db
def test_a_state_and_an_account_narrow_the_tables_without_a_filter_of_their_own():
    first, other = account(), account()
    for of in (first, other):
        of.add_note("A note", by=None, now=NOW)
        Message.objects.write([Message.slack(f"k{of.pk}", kind="x", subject="S", now=NOW, account_id=of.pk)])
    Message.objects.filter(account=first).update(sent_at=NOW)
    client = signed_in()
    whose = lambda query: [row["account"] for row in table(client.get(f"/export/{query}"))]  # noqa: E731
    assert whose(f"notes/?account={first.pk}") == [first.external_id]
    assert whose("notes/?account=99999999999999999999") == [other.external_id, first.external_id]
    assert whose("outbox/?state=sent") == [first.external_id]
    assert whose("outbox/?state=waiting") == [other.external_id]


@pytest.mark.django_db
def test_an_exported_file_is_imported_again_and_changes_nothing(tmp_path):
    people = user(email="ann@onramp.example"), user(email="gone@onramp.example", is_active=False)
    for number, name in enumerate(TYPED):
        account(
            S.NEW,
            name=name,
            mrr="-5.25",
            forecast="1200.00",
            forecast_at=NOW + timedelta(microseconds=12),
            bills_reported=2,
            users_count=0,
            plan="annual",
            contract_renewal_on=in_days(40),
            stripe_customer_id=f"cus_{number}",
            contacted_sales=True,
            payment_risk="high",
            owner=people[number % 2],
        )
    odd = account(owner_reported="Zoe <zoe@elsewhere.example>", extended_until=in_days(3))
    account(sales_contact_kind="AE", sales_contact_name="A <b> @ c", sales_contact_email="a@x.example")
    account(sales_contact_kind="CSM", sales_contact_name="Bo", sales_contact_email="bo@x.example")
    account(sales_contact_kind="AM")
    Bill.objects.create(account=odd, external_id="in_1", status="paid", amount="5", reported_at=NOW)
    odd.recount()
    for name in ("a, b; c", "[VIP]", "=label", 'Said "so"', "plain"):
        AccountLabel.objects.create(account=odd, label=Label.objects.create(name=name))

    def held():
        return list(Account.objects.order_by("pk").values()), list(AccountLabel.objects.values_list())

    before = held()
    file = tmp_path / "accounts.csv"
    file.write_bytes(b"".join(signed_in().get("/export/accounts/").streaming_content))
    said = io.StringIO()
    call_command("import_accounts", str(file), "--json", stdout=said)
    counts = json.loads(said.getvalue())
    assert (counts["unchanged"], counts["updated"], counts["created"]) == (len(TYPED) + 4, 0, 0), counts
    assert held() == before
    assert not TheirStage.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("rows", [5, 50])
@pytest.mark.parametrize("name", EXPORTS)
def test_the_number_of_queries_does_not_grow_with_the_rows(name, rows):
    for _ in range(rows if name in ("daily", "accounts") else 1):
        made = account(S.NEW, owner=user())
    for _ in range(rows):
        made.add_task("Do it", in_days(1), by=made.owner, now=NOW, assignee=made.owner)
        call(made, starts_at=NOW).add_host(made.owner)
    client = signed_in()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        table(client.get(f"/export/{name}/", {"assignee": "all"} if name == "tasks" else {}))
    # Session and user, roles, the numbers of the policy, the people of a filter, the rows.
    assert len(queries) <= 7


@pytest.mark.django_db(transaction=True)
def test_rows_are_read_as_the_reader_takes_them_and_no_transaction_waits_for_a_slow_one(monkeypatch):
    monkeypatch.setattr("apps.web.exports.AT_ONCE", 100)
    Account.objects.bulk_create(Account(external_id=f"a-{n}", name="x" * 50) for n in range(1_000))
    pieces = iter(signed_in().get("/export/accounts/").streaming_content)
    assert next(pieces) == "\ufeff".encode()
    first = next(pieces).count(b"\r\n")
    assert first < 500
    assert connection.connection.info.transaction_status == TransactionStatus.IDLE
    with connection.cursor() as cursor:
        cursor.execute("SELECT is_holdable FROM pg_cursors")
        assert cursor.fetchall() == [(True,)]
    # What goes on meanwhile is none of the file's.
    Account.objects.filter(external_id="a-999").delete()
    assert first + sum(piece.count(b"\r\n") for piece in pieces) == 1_001


@pytest.mark.django_db
def test_everything_about_an_account_is_in_its_json():
    made, client = of_everything(), signed_in()
    Contact.objects.create(account=account(name="Another"), email="else@other.example")
    answer = client.get(f"/accounts/{made.pk}/everything/")
    found = json.loads(answer.content)
    assert answer.headers["Content-Disposition"].startswith(
        f'attachment; filename="onramp-account-{made.pk}-'
    )
    assert found["account"]["name"] == "Acme"
    assert found["account"]["mrr"] == "-5.00"
    # As it was said: this is no spreadsheet.
    assert found["contacts"][0]["name"] == "=Ann"
    assert found["events"][0]["body"] == '{"a": "ü"}'
    tables = {relation.get_accessor_name() for relation in Account._meta.related_objects}
    assert set(found) >= tables - {"accountlabel_set"}
    empty = {name for name in tables & set(found) if not found[name]}
    assert empty <= {"decisions", "entries", "risks", "signals", "their_stage", "walked"}
    assert "else@other.example" not in answer.text
    assert found["tasks"][0]["assignee"] == found["call_hosts"][0]["host"]


@pytest.mark.django_db
@pytest.mark.parametrize("role", ROLES)
def test_everything_about_an_account_is_for_leads_and_admins(role):
    made, client = account(), signed_in(role)
    expected = 200 if role in (LEAD, ADMIN) else 403
    assert client.get(f"/accounts/{made.pk}/everything/").status_code == expected
    offered = f'/accounts/{made.pk}/everything/"' in client.get(f"/accounts/{made.pk}/").text
    assert offered == (expected == 200)


# Whose rows a table shows without being asked for others.
ALL = {"tasks": "assignee=all"}
# How a table is asked for the rows of one account that does not take `account`.
OF_ONE = {
    "daily": "q=Acme",
    "accounts": "q=Acme",
    "calls": "kind=intro",
    "tasks": "assignee={assignee}",
    "feedback": "product=%3DSurveys",
}


def begins_a_formula(row):
    """The headers whose cells a spreadsheet would compute; a number may be a negative one."""
    return {
        header for header, text in row.items() if text[:1] in "=+-@\t\r\n" and text and not _is_a_number(text)
    }


def _is_a_number(text):
    return text.lstrip("-").replace(".", "", 1).isdigit()


@pytest.fixture
def full_of_formulas():
    """A row in every table that is exported, each with a text of somebody else's that begins a formula."""
    made = of_everything()
    Account.objects.update(external_id="=1", name="=A()", domain="+a.example")
    made.contacts.update(name="=Ann()", role="@owner")
    made.notes.update(text="-note")
    made.tasks.update(title="=T()")
    made.calls.update(contact_email="+ann@acme.example")
    made.purchases.update(external_id="=P()")
    made.alerts.update(text="=1+1", subject="=S()")
    made.bills.update(external_id="@bill")
    made.acts.update(because="=B()")
    Message.objects.update(subject="=M()")
    Event.objects.update(sentence="=E()", external_id="+1")


@pytest.mark.django_db
@pytest.mark.parametrize("name", EXPORTS)
def test_no_cell_of_any_file_is_a_formula(full_of_formulas, name):
    rows = table(signed_in("admin").get(f"/export/{name}/?{ALL.get(name, '')}"))
    assert rows
    assert [begins_a_formula(row) for row in rows if begins_a_formula(row)] == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", EXPORTS)
def test_without_its_guard_every_file_would_hold_a_formula(full_of_formulas, name, monkeypatch):
    monkeypatch.setattr("apps.crm.cells.inert", lambda text: text)
    rows = table(signed_in("admin").get(f"/export/{name}/?{ALL.get(name, '')}"))
    assert any(begins_a_formula(row) for row in rows)


@pytest.mark.django_db
@pytest.mark.parametrize("name", EXPORTS)
def test_a_filter_narrows_every_file_and_without_it_there_is_more(name):
    other, wanted = of_everything("2"), of_everything()
    Account.objects.filter(pk=other.pk).update(name="Other")
    other.calls.update(kind="second")
    other.notes.update(product="Other")
    client = signed_in("admin")
    of_one = OF_ONE.get(name, "account={account}").format(
        account=wanted.pk, assignee=wanted.tasks.get().assignee_id
    )
    whole, narrowed = (table(client.get(f"/export/{name}/?{asked}")) for asked in (ALL.get(name, ""), of_one))
    header = next(header for header in ("account", "external_id") if header in whole[0])
    assert {row[header] for row in narrowed} == {wanted.external_id}
    assert {row[header] for row in whole} == {wanted.external_id, other.external_id}
