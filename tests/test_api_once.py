"""The REST API: a POST that is sent again."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import connections, transaction
from django.utils import timezone

from apps.crm.models import Note, Task
from apps.crm.pipeline import Stage
from apps.intake.tokens import ApiToken, IdempotentAnswer
from tests.apis import Api, assert_error
from tests.factories import account, snapshot

S = Stage


def test_a_post_sent_again_with_its_key_is_answered_again_and_done_once(api):
    here = account(S.NEW)
    for path, body in [
        ("move", {"to": "initiated"}),
        ("undo", {}),
        ("notes", {"text": "Hello"}),
        ("tasks", {"title": "Call", "due_on": "2026-12-01"}),
    ]:
        address, key = f"/accounts/{here.external_id}/{path}", {"Idempotency-Key": path}
        first = api.post(address, body, **key)
        assert first.status_code in (200, 201)
        before = snapshot(here)
        again = api.post(address, body, **key)
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.headers["Content-Type"] == "application/json"
        assert snapshot(here) == before
    assert (Note.objects.count(), Task.objects.count()) == (1, 1)


def test_a_key_used_for_another_body_or_address_is_a_422(api):
    here, other = account(S.NEW), account(S.NEW)
    api.post(f"/accounts/{here.external_id}/notes", {"text": "Hello"}, **{"Idempotency-Key": "k"})
    for one, text in [(here, "Other"), (other, "Hello")]:
        answer = api.post(f"/accounts/{one.external_id}/notes", {"text": text}, **{"Idempotency-Key": "k"})
        assert_error(answer, 422, "idempotency_key_reused")
    assert Note.objects.count() == 1


def test_a_key_belongs_to_its_token_and_is_forgotten_after_a_day(api):
    here = account(S.NEW)
    address = f"/accounts/{here.external_id}/notes"
    for program in (api, Api(api.person)):
        assert program.post(address, {"text": "Hello"}, **{"Idempotency-Key": "k"}).status_code == 201
    assert Note.objects.count() == 2
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=24))
    assert api.post(address, {"text": "Other"}, **{"Idempotency-Key": "k"}).status_code == 201
    assert Note.objects.count() == 3
    assert IdempotentAnswer.objects.count() == 1


def test_a_refusal_is_not_kept_because_it_changed_nothing(api):
    here = account(S.NEW)
    address, key = f"/accounts/{here.external_id}/move", {"Idempotency-Key": "k"}
    assert_error(api.post(address, {"to": "churned"}, **key), 422, "reason_required")
    assert api.post(address, {"to": "churned", "reason": "They left"}, **key).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 201, "with space", "\x7f"])
def test_a_key_that_is_none_is_a_422(api, key):
    here = account(S.NEW)
    answer = api.post(f"/accounts/{here.external_id}/notes", {"text": "Hi"}, **{"Idempotency-Key": key})
    assert_error(answer, 422, "invalid", "Idempotency-Key")
    assert not Note.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_key_that_is_at_work_is_a_409_and_free_again_afterwards():
    api, here = Api(), account(S.NEW)
    address, key = f"/accounts/{here.external_id}/notes", {"Idempotency-Key": "k"}
    token = ApiToken.objects.get()
    at_work, tried = Barrier(2), Barrier(2)

    def first():
        with transaction.atomic():
            assert IdempotentAnswer.objects.lock(token, "k")
            at_work.wait()
            tried.wait()
        connections.close_all()

    thread = Thread(target=first)
    thread.start()
    at_work.wait()
    answer = api.post(address, {"text": "Hello"}, **key)
    tried.wait()
    thread.join()
    assert_error(answer, 409, "in_flight")
    assert not Note.objects.exists()
    assert api.post(address, {"text": "Hello"}, **key).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_of_eight_that_send_the_same_post_at_once_one_is_done():
    api, here = Api(), account(S.NEW)
    start, answers = Barrier(8), []

    def send():
        start.wait()
        program = Api(api.person, secret=api.secret)
        answers.append(
            program.post(f"/accounts/{here.external_id}/notes", {"text": "Hello"}, **{"Idempotency-Key": "k"})
        )
        connections.close_all()

    threads = [Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert Note.objects.count() == 1
