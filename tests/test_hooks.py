"""The doors for other systems: what is rightly signed is kept and answered 200, everything else is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
import stripe
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.intake.doors import DOORS, signatures
from apps.intake.models import Event
from config import celery
from config.embedded.process import wait_until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another secret altogether").decode()
NOW = datetime.now(UTC)
BODY = json.dumps({"id": "evt_1", "type": "invoice.paid", "event": "x", "payload": {"uri": "u"}}).encode()


@pytest.fixture(autouse=True)
def _secrets(settings: Any) -> None:
    for door in DOORS.values():
        setattr(settings, door.setting, [SECRET])


def timed(header: str) -> Any:
    def sign(body: bytes, secret: str = SECRET, at: datetime | None = None) -> dict[str, str]:
        seconds = str(int((at or datetime.now(UTC)).timestamp()))
        right = hmac.new(secret.encode(), seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {header: f"t={seconds},v1={right}"}

    return sign


def by_stripe(body: bytes, secret: str = SECRET, at: datetime | None = None) -> dict[str, str]:
    seconds = int((at or datetime.now(UTC)).timestamp())
    right = stripe.WebhookSignature._compute_signature(f"{seconds}.{body.decode()}", secret)
    return {"Stripe-Signature": f"t={seconds},v1={right}"}


def by_shopify(body: bytes, secret: str = SECRET, at: datetime | None = None) -> dict[str, str]:
    right = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {
        "X-Shopify-Hmac-SHA256": right,
        "X-Shopify-Webhook-Id": "hook-1",
        "X-Shopify-Topic": "orders/paid",
    }


def by_standard(body: bytes, secret: str = SECRET, at: datetime | None = None) -> dict[str, str]:
    when = at or datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(when.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(secret).sign("msg_1", when, body.decode()),
    }


SIGN = {
    "stripe": by_stripe,
    "calendly": timed("Calendly-Webhook-Signature"),
    "shopify": by_shopify,
    "ingest": by_standard,
}
SIGNATURE = {
    "stripe": "Stripe-Signature",
    "calendly": "Calendly-Webhook-Signature",
    "shopify": "X-Shopify-Hmac-SHA256",
    "ingest": "webhook-signature",
}


def post(door: str, headers: dict[str, str], body: bytes = BODY) -> Any:
    client = Client(enforce_csrf_checks=True)
    return client.post(f"/hooks/{door}/", body, content_type="application/json", headers=headers)


def refused(answer: Any) -> None:
    assert (answer.status_code, answer.json()["error"], Event.objects.count()) == (401, "unauthorized", 0)


@pytest.mark.django_db
@pytest.mark.parametrize("door", SIGN)
def test_what_another_implementation_signs_is_kept_as_it_was_sent(door: str) -> None:
    answer = post(door, SIGN[door](BODY))
    event = Event.objects.get()
    assert (answer.status_code, answer.json()) == (200, {"kept": True})
    assert (event.provider, bytes(event.body), event.state) == (door, BODY, "waiting")


def test_the_published_vector_of_standard_webhooks_holds() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    at = datetime.fromtimestamp(1614265330, UTC)
    assert signatures.standard(headers, b'{"test": 2432232314}', [SECRET], at)
    assert not signatures.standard(headers, b'{"test": 2432232315}', [SECRET], at)


@pytest.mark.django_db
@pytest.mark.parametrize("door", SIGN)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda right: None,
        lambda right: "",
        lambda right: "garbled",
        lambda right: right.replace("=", ""),
        lambda right: right + "é",
        lambda right: right + "," * 4097,
        lambda right: ",".join(["v1=00"] * 10_000),
        lambda right: "t=1,v1=" + "0" * 64,
        lambda right: right[:-8] + "AAAAAAA=",
    ],
)
def test_a_spoiled_signature_is_refused(door: str, spoil: Any) -> None:
    headers = SIGN[door](BODY)
    spoiled = spoil(headers.pop(SIGNATURE[door]))
    refused(post(door, headers | ({} if spoiled is None else {SIGNATURE[door]: spoiled})))


@pytest.mark.django_db
@pytest.mark.parametrize("door", SIGN)
def test_another_secret_and_another_body_are_refused(door: str) -> None:
    refused(post(door, SIGN[door](BODY, OTHER)))
    refused(post(door, SIGN[door](BODY), BODY + b" "))
    refused(post(door, {}))


@pytest.mark.django_db
@pytest.mark.parametrize("door", SIGN)
def test_the_signature_of_another_provider_is_refused(door: str) -> None:
    for other in SIGN.keys() - {door}:
        refused(post(door, SIGN[other](BODY)))


@pytest.mark.django_db
@pytest.mark.parametrize("door", ["stripe", "calendly", "ingest"])
@pytest.mark.parametrize("off", [-302, -86_400, 3600, 86_400 * 3650])
def test_a_message_out_of_its_time_is_refused(door: str, off: int) -> None:
    refused(post(door, SIGN[door](BODY, at=datetime.now(UTC) + timedelta(seconds=off))))


@pytest.mark.parametrize("door", ["stripe", "calendly", "ingest"])
def test_the_window_reaches_300_seconds_back_and_60_ahead(door: str) -> None:
    now = datetime.fromtimestamp(1_800_000_000, UTC)
    held = [
        off
        for off in (-301, -300, 0, 60, 61)
        if DOORS[door].verify(SIGN[door](BODY, at=now + timedelta(seconds=off)), BODY, [SECRET], now)
    ]
    assert held == [-300, 0, 60]


@pytest.mark.django_db
@pytest.mark.parametrize("door", ["stripe", "calendly"])
def test_a_second_v1_may_be_the_right_one_but_a_second_time_may_not_be(door: str) -> None:
    header = SIGNATURE[door]
    right = SIGN[door](BODY)[header]
    seconds, signature = right.split(",")
    refused(post(door, {header: f"{seconds},{right}"}))
    assert post(door, {header: f"{seconds},v1={'0' * 64},{signature}"}).status_code == 200


@pytest.mark.django_db
def test_a_second_signature_of_standard_webhooks_may_be_the_right_one() -> None:
    headers = by_standard(BODY)
    headers["webhook-signature"] = f"v1,{'A' * 43}= v2,x {headers['webhook-signature']}"
    assert post("ingest", headers).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("door", SIGN)
def test_a_rotated_secret_holds_beside_the_new_one(door: str, settings: Any) -> None:
    setattr(settings, DOORS[door].setting, [OTHER, SECRET])
    assert [post(door, SIGN[door](BODY, secret)).status_code for secret in (SECRET, OTHER)] == [200, 200]


@pytest.mark.django_db
@pytest.mark.parametrize("door", SIGN)
def test_a_door_without_a_secret_is_closed_and_says_so(door: str, settings: Any) -> None:
    setattr(settings, DOORS[door].setting, [])
    answer = post(door, SIGN[door](BODY))
    assert (answer.status_code, answer.json()["error"], Event.objects.count()) == (503, "not_configured", 0)


@pytest.mark.django_db
@pytest.mark.parametrize("door", SIGN)
def test_too_large_compressed_and_fetched_are_refused(door: str) -> None:
    large = b"x" * (256 * 1024 + 1)
    answers = [
        post(door, SIGN[door](large), large),
        post(door, SIGN[door](BODY) | {"Content-Encoding": "gzip"}),
        Client().get(f"/hooks/{door}/"),
    ]
    assert [answer.status_code for answer in answers] == [413, 415, 405]
    assert not Event.objects.exists()


UNUSABLE = {
    "empty": b"",
    "null": b"null",
    "a list": b"[]",
    "bad UTF-8": b"\xff\xfe{}",
    "UTF-16": '{"id": "evt_1"}'.encode("utf-16"),
    "deep": b"[" * 100_000,
    "NaN": b'{"id": "evt_1", "n": NaN}',
    "huge": b'{"id": "evt_1", "n": ' + b"9" * 5000 + b"}",
    "infinite": b'{"id": "evt_1", "n": 1e999}',
    "twice": b'{"id": "evt_1", "id": "evt_2"}',
    "NUL": b'{"id": "evt_1\\u0000"}',
    "surrogate": b'{"id": "\\ud800"}',
    "no id": b"{}",
    "id is a number": b'{"id": 1}',
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", UNUSABLE)
def test_a_rightly_signed_body_that_nobody_can_use_is_kept_by_its_digest(name: str) -> None:
    body = UNUSABLE[name]
    right = timed("Stripe-Signature")
    answers = [post("stripe", right(body), body) for _ in range(2)]
    event = Event.objects.get()
    assert [answer.json() for answer in answers] == [{"kept": True}, {"kept": False}]
    assert (event.external_id, bytes(event.body)) == (f"sha256:{hashlib.sha256(body).hexdigest()}", body)


@pytest.mark.django_db(transaction=True)
def test_fifty_threads_with_one_event_keep_it_once() -> None:
    def send(_: int) -> int:
        try:
            return int(post("stripe", by_stripe(BODY)).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(send, range(50)))
    assert (answers, Event.objects.count()) == ([200] * 50, 1)


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_away_fails_nothing(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from celery import current_app

    monkeypatch.setattr(current_app.conf, "broker_url", "redis://127.0.0.1:1/0")
    assert post("stripe", by_stripe(BODY)).status_code == 200
    assert Event.objects.count() == 1


@pytest.mark.django_db
def test_an_event_costs_one_statement_and_its_answer_has_the_headers_and_no_cookie() -> None:
    with CaptureQueriesContext(connection) as asked:
        answer = post("stripe", by_stripe(BODY) | {"Cookie": "__Host-sessionid=abc; sessionid=abc"})
    assert (answer.status_code, len(asked), answer.cookies) == (200, 1, {})
    assert "Vary" not in answer
    assert (answer["X-Frame-Options"], answer["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert "default-src 'none'" in answer["Content-Security-Policy"]


@pytest.mark.django_db
def test_a_door_that_is_not_there_is_not_found() -> None:
    assert [Client().post(f"/hooks/{name}").status_code for name in ("nobody/", "")] == [404, 404]


@pytest.mark.django_db(transaction=True)
def test_an_event_is_kept_though_the_database_was_started_anew_since_the_last_one() -> None:
    assert post("stripe", by_stripe(BODY)).json() == {"kept": True}
    with connection.cursor() as cursor, pytest.raises(Exception, match="terminat"):
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    other = BODY.replace(b"evt_1", b"evt_2")
    assert post("stripe", by_stripe(other), other).json() == {"kept": True}
    assert sorted(Event.objects.values_list("external_id", flat=True)) == ["evt_1", "evt_2"]


def test_who_asks_for_a_bell_does_not_wait_and_is_heard_by_a_ring_that_starts_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard, rung, go_on = [], threading.Event(), threading.Event()

    def ring(job: str) -> None:
        heard.append(job)
        rung.set()
        go_on.wait(60)

    monkeypatch.setattr(celery, "ring", ring)
    bell = celery.Bell()
    bell("drain")
    assert rung.wait(60)
    # The ring under way may have been heard before these were kept.
    for _ in range(50):
        bell("drain")
    assert heard == ["drain"]
    go_on.set()
    assert wait_until(lambda: heard == ["drain", "drain"], 60)
