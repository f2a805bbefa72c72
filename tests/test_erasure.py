"""Erasure on request: what names a person or an account is nowhere any more, and nothing else is touched."""

import json
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client

from apps.crm.models import (
    Account,
    Alert,
    AuditPoint,
    Bill,
    Contact,
    Credit,
    Erasure,
    Label,
    Note,
    Purchase,
    Signal,
    StageTransition,
    TheirStage,
)
from apps.crm.models.user import ADMIN, LEAD, ROLES
from apps.crm.pipeline import Stage
from apps.crm.reporting import report_accounts
from apps.intake.erasure import MARK, NotErased, erase_account, erase_person
from apps.intake.events import Event
from apps.intake.imports import Import
from apps.intake.linking import link
from apps.intake.tokens import ApiToken, IdempotentAnswer
from apps.outbox.models import Message
from apps.playbooks.models import Act, Run
from tests.factories import NOW, account, call, in_days, user

S = Stage
EMAIL = "zeb.quarrel+x@acme.example"
NAME = 'Zebulon "Zeb" Quarrel'
BOTH = f"{NAME} <Zeb.Quarrel+X@Acme.example>"
# People who are named almost alike.
OTHERS = ("azeb.quarrel+x@acme.example", "zeb.quarrel+x@acme.example.org", "zeb@acme.example")
CODE = "quarrel-7781"


def dump():
    """Every value of every row of every table, as one text in lower case."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for name in tables:
            cursor.execute(f'SELECT * FROM "{name}"')
            for row in cursor.fetchall():
                found += [
                    bytes(value).decode(errors="replace")
                    if isinstance(value, memoryview | bytes)
                    else str(value)
                    for value in row
                ]
    return "\n".join(found).lower().replace('\\"', '"').replace("%40", "@").replace("%2b", "+")


def with_words(of, words, by):
    """A row of every kind that hangs on an account, each with these words in it, and what stands beside it."""
    of.edit(
        now=NOW,
        payment_risk_reason=words,
        extended_reason=words,
        hand_picked=words[:300],
        owner_reported=words,
    )
    of.move(S.INITIATED, by=by, now=NOW, cause="board", reason=words)
    note = of.add_note(f"Spoke to {words}.", by=by, now=NOW)
    Note.objects.filter(pk=note.pk).update(author_reported=words)
    of.add_task(f"Write to {words}", in_days(1), by=by, now=NOW)
    Alert.objects.create(
        account=of, kind="reply", subject=f"s{of.pk}", text=words, resolution=words, raised_at=NOW
    )
    Purchase.objects.create(account=of, external_id=f"o{of.pk}", email=EMAIL, amount=1, bought_at=NOW)
    Signal.objects.create(
        account=of, kind="sales_disqualified", external_id=f"x{of.pk}", at=NOW, by=words, reason=words
    )
    Bill.objects.create(account=of, external_id=f"in{of.pk}", status="open", amount="5", reported_at=NOW)
    TheirStage.objects.create(account=of, written="New", said_at=NOW)
    call(of, contact_email=EMAIL)
    run = Run.objects.create(playbook="p", started_at=NOW, errors=[{"account": of.pk, "error": words}])
    Act.objects.create(run=run, playbook="p", account=of, occasion=f"mail:{EMAIL}", at=NOW, because=words)
    Message.objects.write(
        [
            Message.mail(
                f"m{of.pk}", to=EMAIL, kind="k", subject="Hello", now=NOW, account_id=of.pk, text=words
            ),
            Message.slack(f"n{of.pk}:{EMAIL}", kind="k", subject=words, now=NOW, text=words),
        ]
    )
    for number, (whose, body) in enumerate(
        [(of, "{}"), (None, json.dumps(words)), (None, "to=zeb.quarrel%2Bx%40acme.example")]
    ):
        Event.objects.keep(
            provider="ingest", external_id=f"e{of.pk}-{number}", type="t", body=body.encode(), now=NOW
        )
        Event.objects.filter(external_id=f"e{of.pk}-{number}").update(
            account=whose, subject=f"email:{EMAIL}", sentence=words
        )
    Import.objects.create(
        file_name="a.csv", file=words.encode(), state="done", outcome={"differing": [[words]]}, created_at=NOW
    )
    ApiToken.objects.issue(by, now=NOW)
    IdempotentAnswer.objects.create(
        token=ApiToken.objects.latest("pk"),
        key="k",
        asked="a",
        status=200,
        answer=json.dumps([words]),
        created_at=NOW,
    )
    LogEntry.objects.create(
        user=by,
        content_type=ContentType.objects.get_for_model(Account),
        action_flag=2,
        object_repr=words[:200],
        change_message=words,
    )
    of.add_label(words[:80], now=NOW)
    of.edit(now=NOW, payment_risk="low", payment_risk_at=NOW)
    point = {"state": "done", "saving": None, "by": by, "now": NOW, "seen": None}
    AuditPoint.objects.look_at(of, f"Ask {words}"[:120], **point)
    facts = {"kind": "services", "currency": "USD", "on": NOW.date(), "why": words, "by": by, "now": NOW}
    Credit.objects.record(of, amount=5, **facts).correct(why=words, by=by, now=NOW)


@pytest.mark.django_db
def test_no_trace_of_an_erased_person_is_left_in_any_table():
    lead, first, second = user("lead"), account(S.NEW), account(S.NEW)
    for of in (first, second):
        Contact.objects.create(account=of, email=EMAIL, name=NAME)
        for number, other in enumerate(OTHERS):
            Contact.objects.create(account=of, email=other, name=f"Other {number}")
    with_words(first, BOTH, lead)
    elsewhere = account(S.NEW, name="Zebulon Works")
    elsewhere.add_note(f"Knows {EMAIL.upper()} and {', '.join(OTHERS)}; not Zebulon.", by=lead, now=NOW)
    ledger = list(
        StageTransition.objects.values_list("account", "version", "from_stage", "to_stage", "at", "by")
    )

    gone = erase_person(EMAIL, by=lead, now=NOW)

    left = dump()
    for other in OTHERS:
        left = left.replace(other, "")
    assert EMAIL not in left
    assert NAME.lower() not in left
    assert gone["contacts"] == 2
    assert gone["notes"] == 2
    assert elsewhere.notes.get().text == f"Knows {MARK} and {', '.join(OTHERS)}; not Zebulon."
    assert first.notes.get().text == f"Spoke to {MARK} <{MARK}>."
    assert set(Contact.objects.values_list("email", flat=True)) == {*OTHERS}
    assert not Message.objects.filter(channel="mail").exists()
    assert set(Event.objects.values_list("state", "due_at")) == {(Event.State.IGNORED, None)}
    # The ledger is as it was, but for the reason that named them.
    assert ledger == list(
        StageTransition.objects.values_list("account", "version", "from_stage", "to_stage", "at", "by")
    )
    assert not StageTransition.objects.exclude(reason="").exists()
    assert Account.objects.count() == 3


@pytest.mark.django_db
def test_no_trace_of_an_erased_account_and_its_people_is_left_in_any_table():
    lead = user("lead")
    made = account(
        S.NEW,
        external_id=CODE,
        name="Quarrel & Sons",
        domain="quarrel.example",
        stripe_customer_id="cus_quarrel",
    )
    other = account(S.NEW, name="Other")
    for of, email in ((made, EMAIL), (made, OTHERS[0]), (other, OTHERS[0])):
        Contact.objects.create(account=of, email=email, name=NAME)
    with_words(made, f"{CODE}, Quarrel & Sons, quarrel.example, cus_quarrel, {EMAIL}", lead)
    other.add_note(f"Asked {EMAIL} of theirs.", by=lead, now=NOW)

    gone = erase_account(made, by=lead, now=NOW)

    left = dump()
    # Who is at another account, too, is that account's as well; labels are the team's words.
    assert OTHERS[0] in left
    left = left.replace(OTHERS[0], "")
    for trace in (CODE, "quarrel & sons", "quarrel.example", "cus_quarrel", EMAIL):
        assert trace not in left.replace(Label.objects.get().name.lower(), ""), trace
    assert (gone["accounts"], gone["stage transitions"], gone["contacts"]) == (1, 2, 2)
    assert [*Account.objects.values_list("pk", flat=True)] == [other.pk]
    assert other.notes.get().text == f"Asked {MARK} of theirs."
    assert other.transitions.count() == 1


@pytest.mark.django_db
def test_a_name_that_others_share_or_that_is_short_is_not_taken_out_elsewhere():
    lead = user("lead")
    first, second = (
        account(external_id=code, name="Acme Inc", domain="acme.example") for code in ("12", "13")
    )
    Message.objects.write([Message.slack("k", kind="k", subject="12 of Acme Inc, acme.example", now=NOW)])
    erase_account(first, by=lead, now=NOW)
    assert Message.objects.get().subject == "12 of Acme Inc, acme.example"
    assert Account.objects.get() == second


@pytest.mark.django_db
def test_an_erased_person_does_not_come_back_with_a_report_or_a_link():
    lead, of = user("lead"), account()
    Contact.objects.create(account=of, email=EMAIL, name=NAME)
    erase_person(EMAIL, by=lead, now=NOW)
    people = [{"email": EMAIL, "name": NAME}, {"email": OTHERS[2], "name": "Zeb"}]
    said = [(0, {"external_id": of.external_id, "contacts": people})]
    first, again = (report_accounts(said, source="api", now=NOW) for _ in range(2))
    assert (first.updated, again.unchanged) == (1, 1)
    new = report_accounts(
        [(0, {"external_id": "n", "name": "N", "contacts": people[:1]})], source="api", now=NOW
    )
    assert new.created == 1
    Event.objects.keep(provider="ingest", external_id="e", type="t", body=b"{}", now=NOW)
    Event.objects.update(subject=f"email:{EMAIL}", state="unmatched", due_at=None)
    link(Event.objects.get(), of, by=user("lead"), now=NOW)
    assert [*Contact.objects.values_list("email", flat=True)] == [OTHERS[2]]


@pytest.mark.django_db
def test_neither_a_colleague_nor_anybody_an_import_may_name_is_erased():
    lead, of = user("lead"), account()
    Contact.objects.create(account=of, email=lead.email.upper().lower())
    before = dump()
    with pytest.raises(NotErased, match="colleague"):
        erase_person(lead.email, by=lead, now=NOW)
    assert dump() == before
    Import.objects.create(file_name="a.csv", file=b"x", state="queued", created_at=NOW, confirmed_at=NOW)
    Contact.objects.create(account=of, email=EMAIL)
    before = dump()
    for erase in (lambda: erase_person(EMAIL, by=lead, now=NOW), lambda: erase_account(of, by=lead, now=NOW)):
        with pytest.raises(NotErased, match="import is at work"):
            erase()
    assert dump() == before


@pytest.mark.django_db
def test_a_preview_that_names_them_is_dropped_and_others_are_kept():
    lead = user("lead")
    for body in (b"a," + EMAIL.upper().encode(), b"a,\xff\x00,b"):
        Import.objects.create(file_name="a.csv", file=body, created_at=NOW - timedelta(days=1))
    Contact.objects.create(account=account(), email=EMAIL)
    erase_person(EMAIL, by=lead, now=NOW)
    assert bytes(Import.objects.get().file) == b"a,\xff\x00,b"


def signed_in(role):
    client = Client()
    client.person = user(role)
    client.force_login(client.person)
    return client


@pytest.mark.django_db
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("what", ["account", "person"])
def test_leads_and_admins_erase_once_they_have_typed_what(role, what):
    made = account(S.NEW, external_id=CODE)
    person = Contact.objects.create(account=made, email=EMAIL, name=NAME)
    address = (
        f"/accounts/{made.pk}/erase/"
        if what == "account"
        else f"/accounts/{made.pk}/contacts/{person.pk}/erase/"
    )
    client, typed = signed_in(role), CODE if what == "account" else EMAIL
    offered = f'href="/accounts/{made.pk}/erase/"' in client.get(f"/accounts/{made.pk}/").text
    before = list(Account.objects.values()), list(Contact.objects.values())
    if role not in (LEAD, ADMIN):
        assert not offered
        assert {client.get(address).status_code, client.post(address, {"typed": typed}).status_code} == {403}
        assert (list(Account.objects.values()), list(Contact.objects.values())) == before
        return
    assert offered
    shown = client.get(address)
    assert (shown.status_code, "Contacts</dt><dd>1<" in shown.text) == (200, True)
    wrong = client.post(address, {"typed": "yes"})
    assert (wrong.status_code, "Nothing was erased" in wrong.text) == (422, True)
    assert (list(Account.objects.values()), list(Contact.objects.values())) == before
    assert not Erasure.objects.exists()
    done = client.post(address, {"typed": f" {typed.upper()} "})
    assert done.status_code == 302
    assert not Contact.objects.exists()
    assert Account.objects.exists() == (what == "person")
    assert Erasure.objects.get().by == client.person
    assert client.post(address, {"typed": typed}).status_code == 404


@pytest.mark.django_db
def test_what_stands_in_the_way_of_an_erasure_is_said(client):
    made = account(S.NEW)
    Import.objects.create(file_name="a.csv", file=b"x", state="queued", created_at=NOW, confirmed_at=NOW)
    answer = signed_in("lead").get(f"/accounts/{made.pk}/erase/")
    assert answer.status_code == 409
    assert "An import is at work" in answer.text
    assert '<form class="panel' not in answer.text
