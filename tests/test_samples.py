"""The sample events: each goes through the real door and the drain, and does what its type does."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from apps.crm.models import Account, Contact
from apps.crm.pipeline import Stage
from apps.intake import drain
from apps.intake.doors import DOORS
from apps.intake.doors.signatures import standard_key
from apps.intake.models import Event
from apps.intake.samples import CONSULTATION, INTRO_CALL, SAMPLES, About, sample
from apps.intake.samples.mail import LOG_ADDRESS
from config.embedded.supervisor import DOOR_SECRETS, SAMPLED, Supervisor, _read_env
from tests.factories import account, user

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TYPES = [(door, type) for door, types in SAMPLES.items() for type in types]


@pytest.fixture(autouse=True)
def _open_doors(settings: Any) -> None:
    for door in SAMPLES:
        setattr(settings, DOORS[door].setting, [SECRET])
    settings.CALENDLY_EVENT_TYPES = {INTRO_CALL: "intro"}
    settings.SHOPIFY_CONSULTATION_SKUS = [CONSULTATION]
    settings.MAIL_LOG_ADDRESS = LOG_ADDRESS
    settings.DEBUG = True


# From which stage, after which other samples of the same door, and what there is to see then.
EFFECTS: dict[tuple[str, str], tuple[Stage, tuple[str, ...], dict[str, Any]]] = {
    ("stripe", "invoice.created"): (Stage.NEW, (), {"bills": ["draft"]}),
    ("stripe", "invoice.finalized"): (Stage.NEW, ("invoice.created",), {"bills": ["open"]}),
    ("stripe", "invoice.updated"): (Stage.NEW, ("invoice.finalized",), {"bills": ["open"]}),
    ("stripe", "invoice.paid"): (
        Stage.INITIATED,
        ("invoice.finalized", "invoice.payment_failed"),
        {"bills": ["paid"], "alerts": [("failed-payment", True)]},
    ),
    ("stripe", "invoice.payment_failed"): (
        Stage.INITIATED,
        ("invoice.finalized",),
        {"bills": ["open"], "alerts": [("failed-payment", False)]},
    ),
    ("stripe", "invoice.voided"): (Stage.NEW, ("invoice.finalized",), {"bills": ["void"]}),
    ("stripe", "invoice.marked_uncollectible"): (
        Stage.NEW,
        ("invoice.finalized",),
        {"bills": ["uncollectible"]},
    ),
    ("stripe", "invoice.upcoming"): (Stage.NEW, (), {"bills": ["upcoming"]}),
    ("stripe", "customer.subscription.deleted"): (
        Stage.INITIATED,
        (),
        {"signals": ["subscription_canceled"]},
    ),
    ("stripe", "customer.updated"): (Stage.NEW, (), {"customer": True}),
    ("calendly", "invitee.created"): (
        Stage.INITIATED,
        (),
        {"stage": Stage.CALL_BOOKED, "calls": [("booked", "intro")]},
    ),
    ("calendly", "invitee.canceled"): (
        Stage.INITIATED,
        ("invitee.created",),
        {"stage": Stage.CALL_BOOKED, "calls": [("canceled", "intro")], "tasks": 1},
    ),
    ("calendly", "invitee_no_show.created"): (
        Stage.INITIATED,
        ("invitee.created",),
        {"stage": Stage.CALL_BOOKED, "calls": [("no_show", "intro")]},
    ),
    ("calendly", "invitee_no_show.deleted"): (
        Stage.INITIATED,
        ("invitee.created", "invitee_no_show.created"),
        {"stage": Stage.CALL_BOOKED, "calls": [("booked", "intro")]},
    ),
    ("shopify", "orders/paid"): (Stage.ENGAGED_EMAIL, (), {"stage": Stage.PAID_CALL, "refunded": [False]}),
    ("shopify", "orders/cancelled"): (
        Stage.ENGAGED_EMAIL,
        ("orders/paid",),
        {"stage": Stage.ENGAGED_EMAIL, "refunded": [True]},
    ),
    ("shopify", "refunds/create"): (
        Stage.ENGAGED_EMAIL,
        ("orders/paid",),
        {"stage": Stage.ENGAGED_EMAIL, "refunded": [True]},
    ),
    ("ingest", "account.upserted"): (Stage.NEW, (), {"users": 12}),
    ("ingest", "conversation.outbound"): (Stage.NEW, (), {"stage": Stage.INITIATED, "wrote": True}),
    ("ingest", "conversation.inbound"): (
        Stage.NEW,
        ("conversation.outbound",),
        {"stage": Stage.ENGAGED_EMAIL, "wrote": True, "answered": True},
    ),
    ("ingest", "call.booked"): (Stage.NEW, (), {"stage": Stage.CALL_BOOKED, "calls": [("booked", "intro")]}),
    ("ingest", "call.canceled"): (
        Stage.NEW,
        ("call.booked",),
        {"stage": Stage.CALL_BOOKED, "calls": [("canceled", "intro")], "tasks": 1},
    ),
    ("ingest", "call.held"): (
        Stage.NEW,
        ("call.booked",),
        {"stage": Stage.INTRO_CALL_COMPLETED, "calls": [("held", "intro")]},
    ),
    ("ingest", "call.no_show"): (
        Stage.NEW,
        ("call.booked",),
        {"stage": Stage.CALL_BOOKED, "calls": [("no_show", "intro")]},
    ),
    ("ingest", "purchase.paid_call"): (Stage.NEW, (), {"stage": Stage.PAID_CALL, "refunded": [False]}),
    ("ingest", "purchase.refunded"): (
        Stage.INITIATED,
        ("purchase.paid_call",),
        {"stage": Stage.INITIATED, "refunded": [True]},
    ),
    ("ingest", "sales.referred"): (Stage.INITIATED, (), {"stage": Stage.SALES_HANDOFF}),
    ("ingest", "sales.disqualified"): (Stage.INITIATED, (), {"signals": ["sales_disqualified"]}),
    ("ingest", "subscription.canceled"): (Stage.INITIATED, (), {"signals": ["subscription_canceled"]}),
}
MAIL = [door for door in SAMPLES if door.startswith("mail/")]
for door in MAIL:
    EFFECTS |= {
        (door, "outreach"): (Stage.NEW, (), {"stage": Stage.INITIATED, "wrote": True}),
        (door, "reply"): (
            Stage.NEW,
            ("outreach",),
            {"stage": Stage.ENGAGED_EMAIL, "wrote": True, "answered": True},
        ),
        (door, "bounced"): (Stage.INITIATED, (), {"bounced": 1}),
        (door, "complained"): (Stage.INITIATED, (), {"unsubscribed": 1}),
        (door, "unsubscribed"): (Stage.INITIATED, (), {"unsubscribed": 1}),
    }
# A letter is one type at the door, whoever wrote it.
LETTERS = {"outreach": "inbound", "reply": "inbound"}


def seen(of: Account) -> dict[str, Any]:
    """All that an event may do to an account; what it did not is left out."""
    of.refresh_from_db()
    found = {
        "stage": Stage(of.stage),
        "bills": [*of.bills.values_list("status", flat=True)],
        "calls": [*of.calls.values_list("status", "kind")],
        "refunded": [when is not None for when in of.purchases.values_list("refunded_at", flat=True)],
        "signals": [*of.signals.values_list("kind", flat=True)],
        "alerts": [
            (kind, resolved is not None)
            for kind, resolved in of.alerts.filter(kind="failed-payment").values_list("kind", "resolved_at")
        ],
        "tasks": of.tasks.filter(cause__startswith="call:").count(),
        "wrote": of.last_outreach_at is not None,
        "answered": of.last_reply_at is not None,
        "users": of.users_count or 0,
        "customer": of.stripe_customer_id == f"cus_sample_{of.pk}",
        "bounced": of.contacts.exclude(bounced_at=None).count(),
        "unsubscribed": of.contacts.exclude(unsubscribed_at=None).count(),
    }
    return {name: value for name, value in found.items() if value}


def customer(stage: Stage) -> Account:
    made = account(stage, name="Acme")
    Contact.objects.create(account=made, email="ann@acme.example")
    return made


def send(door: str, type: str, about: About) -> Event:
    """Through the real door, and applied."""
    signed = sample(door, type, about, SECRET)
    answer = Client(enforce_csrf_checks=True).post(
        f"/hooks/{door}/", signed.body, content_type=signed.headers["Content-Type"], headers=signed.headers
    )
    assert (answer.status_code, answer.json()) == (200, {"kept": True})
    drain.apply_due(now=timezone.now())
    return Event.objects.latest("pk")


def test_there_is_a_sample_for_every_type_of_every_door_and_a_test_of_each() -> None:
    types = {(door, LETTERS.get(type, type)) for door, type in TYPES}
    assert types == {(name, type) for name, door in DOORS.items() for type in door.types}
    assert {*TYPES} == EFFECTS.keys()


@pytest.mark.django_db
@pytest.mark.parametrize(("door", "type"), TYPES)
def test_each_sample_is_taken_in_and_does_what_its_type_does(door: str, type: str) -> None:
    start, before, effects = EFFECTS[door, type]
    user("specialist")
    made = customer(start)
    for name in (*before, type):
        event = send(door, name, About.account(made, now=timezone.now()))
    assert (event.state, event.account, event.sentence != "") == ("done", made, True)
    if door == "stripe":
        effects = {"customer": True, **effects}
    assert seen(made) == {"stage": start, **effects}


@pytest.mark.django_db
@pytest.mark.parametrize(("door", "type"), TYPES)
def test_a_sample_about_nobody_waits_for_a_person_or_does_nothing(door: str, type: str) -> None:
    customer(Stage.INITIATED)
    user("specialist")
    event = send(door, type, About.stranger(now=timezone.now()))
    expected = {
        "account.upserted": ("done", "sample-stranger"),
        **dict.fromkeys(("bounced", "complained", "unsubscribed"), ("ignored", None)),
    }.get(type, ("unmatched", None))
    assert (event.state, event.account and event.account.external_id) == expected


@pytest.mark.parametrize("door", SAMPLES)
def test_a_sample_holds_by_the_doors_own_recipe_and_not_by_another_secret(door: str) -> None:
    now = timezone.now()
    about = About("a", "A", "a@a.example", "cus_1", "s@onramp.example", now)
    for type in SAMPLES[door]:
        signed = sample(door, type, about, SECRET)
        assert DOORS[door].verify(signed.headers, signed.body, [SECRET], now)
        assert not DOORS[door].verify(signed.headers, signed.body, ["whsec_b3RoZXI="], now)


def test_make_run_opens_the_doors_and_knows_what_the_samples_speak_of() -> None:
    assert {*DOOR_SECRETS} == {DOORS[door].setting for door in SAMPLES}
    assert {
        "CALENDLY_EVENT_TYPES": f"{INTRO_CALL}=intro",
        "SHOPIFY_CONSULTATION_SKUS": CONSULTATION,
        "MAIL_LOG_ADDRESS": LOG_ADDRESS,
    } == SAMPLED


def test_make_run_makes_a_secret_for_each_door_once_and_leaves_a_given_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    for name in (*DOOR_SECRETS, *SAMPLED):
        monkeypatch.delenv(name, raising=False)

    def written() -> dict[str, str]:
        Supervisor()._write_env()
        kept = _read_env(tmp_path / "env")
        return {name: kept[name] for name in (*DOOR_SECRETS, *SAMPLED)}

    before = dict(os.environ)
    first = written()
    assert all(
        standard_key(first[name].removeprefix(begins)) and first[name].startswith(begins)
        for name, begins in DOOR_SECRETS.items()
    )
    assert len({first[name] for name in DOOR_SECRETS}) == len(DOOR_SECRETS)
    assert written() == first
    assert dict(os.environ) == before
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRETS", "whsec_given")
    assert written() == first | {"STRIPE_WEBHOOK_SECRETS": "whsec_given"}
    assert (tmp_path / "env").stat().st_mode & 0o077 == 0


# The command


def said(*words: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("send_sample_event", *words, stdout=out, **options)
    return out.getvalue()


def test_without_a_type_the_command_lists_them() -> None:
    assert said().splitlines() == [f"{door} {type}" for door, type in TYPES]
    assert said("shopify").splitlines() == [f"shopify {type}" for type in SAMPLES["shopify"]]


@pytest.mark.django_db(transaction=True)
def test_the_command_tells_a_running_server_and_says_where_to_look(live_server: Any) -> None:
    made = customer(Stage.INITIATED)
    options = {"account": made.external_id, "url": live_server.url}
    told = said("stripe", "invoice.payment_failed", **options)
    event = Event.objects.get()
    assert told == (
        f"Kept: invoice.payment_failed about Acme. {live_server.url}/events/?q={event.external_id}\n"
    )
    assert said("calendly", "invitee.created", **options).startswith("Kept: ")
    assert said("calendly", "invitee.created", **options).startswith("Told before, so nothing follows: ")
    drain.apply_due(now=timezone.now())
    made.refresh_from_db()
    assert (made.stage, made.bills.get().attempts) == (Stage.CALL_BOOKED, 1)


def refused(*words: str, **options: Any) -> str:
    with pytest.raises(CommandError) as error:
        said(*words, **options)
    return str(error.value)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "url",
    [
        "https://onramp.example",
        "http://onramp.example",
        "http://10.0.0.1:8000",
        "http://127.0.0.1.nip.example",
        "https://127.0.0.1",
        "http://user@evil.example",
        "ftp://127.0.0.1",
        "nonsense",
        "",
    ],
)
def test_a_sample_goes_to_no_other_machine(url: str) -> None:
    assert "goes to this machine alone" in refused("stripe", "invoice.paid", url=url)


@pytest.mark.django_db
def test_what_cannot_be_sent_is_refused_in_a_sentence(settings: Any) -> None:
    nowhere = {"url": "http://127.0.0.1:1"}
    bare = account()
    paid = ("stripe", "invoice.paid")
    assert refused("fax", "invoice.paid").startswith("There is no sample for a door “fax”")
    assert "stripe invoice.paid" in refused("stripe", "invoice.gone")
    assert "no account with the external id" in refused(*paid, account="gone", **nowhere)
    assert "neither a contact nor a domain" in refused(*paid, account=bare.external_id, **nowhere)
    assert refused(*paid, **nowhere).startswith("No server answers at http://127.0.0.1:1")
    settings.STRIPE_WEBHOOK_SECRETS = []
    assert refused(*paid, **nowhere) == "This door is closed: STRIPE_WEBHOOK_SECRETS is not set."
    settings.DEBUG = False
    assert "it is sent with DEBUG alone" in refused("ingest", "call.held", **nowhere)
    assert not Event.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_server_with_other_secrets_is_told_of(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    signed = sample("stripe", "invoice.paid", About.stranger(now=timezone.now()), "whsec_b3RoZXI=")
    monkeypatch.setattr("apps.intake.management.commands.send_sample_event.sample", lambda *_: signed)
    words = "The server answered 401: The signature is missing, wrong or out of its time."
    assert refused("stripe", "invoice.paid", url=live_server.url) == words
    assert json.loads(signed.body)["type"] == "invoice.paid"


def test_the_page_about_webhooks_names_every_type_and_every_setting(settings: Any) -> None:
    page = (settings.BASE_DIR / "docs/webhooks.md").read_text()
    assert [type for _, type in TYPES if f"`{type}`" not in page] == []
    assert [DOORS[door].setting for door in SAMPLES if f"`{DOORS[door].setting}`" not in page] == []
