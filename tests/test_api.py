"""The REST API: who may, the shape of its errors, and how often one may ask."""

import pytest
from django.test import Client

from apps.crm.models import Account, Note
from apps.crm.pipeline import Stage
from apps.intake.api import door
from apps.intake.tokens import ApiToken
from tests.apis import Api, assert_error
from tests.factories import NOW, account, snapshot, user

S = Stage


# Who may


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer nonsense", "Basic YWRtaW46YWRtaW4=", "Bearer \xe9", "Token x"],
)
def test_without_a_known_token_there_is_only_a_401(db, header):
    headers = {} if header is None else {"Authorization": header}
    answer = Client().get("/api/v1/accounts", headers=headers)
    assert_error(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_token_and_the_token_of_somebody_who_left_get_a_401(api):
    ApiToken.objects.all().revoke(now=NOW)
    assert_error(api.get("/accounts"), 401, "unauthorized", "revoked")
    gone = Api(user(is_active=False))
    assert_error(gone.get("/accounts"), 401, "unauthorized")


def test_a_login_of_the_pages_is_no_token(db):
    client = Client()
    client.force_login(user("admin"))
    assert_error(client.get("/api/v1/accounts"), 401, "unauthorized")


@pytest.mark.parametrize("host", ["", "evil.example", "a b"])
@pytest.mark.parametrize("path", ["/api/v1/accounts", "/hooks/stripe/"])
def test_a_program_that_asks_another_host_is_told_so_in_our_form_and_a_person_by_a_page(client, path, host):
    for answer in (client.get(path, HTTP_HOST=host), client.post(path, HTTP_HOST=host)):
        assert_error(answer, 400, "malformed", "host")
    page = client.get("/", HTTP_HOST=host)
    assert page.status_code == 400
    assert "This request cannot be read" in page.text


WRITES = [
    ("PUT", "/accounts", {"accounts": [{"external_id": "new", "name": "New"}]}, "edit"),
    (
        "PUT",
        "/bills",
        {"bills": [{"id": "in_1", "account": "none", "amount": "5", "status": "open"}]},
        "edit",
    ),
    ("POST", "/accounts/{id}/move", {"to": "initiated"}, "move"),
    ("POST", "/accounts/{id}/undo", {}, "move"),
    ("POST", "/accounts/{id}/leave-paid-call", {}, "move"),
    ("POST", "/accounts/{id}/notes", {"text": "Hello"}, "note"),
    ("POST", "/accounts/{id}/tasks", {"title": "Call them", "due_on": "2026-12-01"}, "task"),
    ("POST", "/alerts/{alert}/resolve", {}, "alert"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "path", "body", "right"), WRITES, ids=lambda value: str(value)[:40])
def test_a_read_only_token_and_a_role_without_the_right_change_nothing(method, path, body, right):
    here = account(S.NEW)
    alert = here.alerts.create(kind="missed-outreach", text="Late", raised_at=NOW)
    here.recount()
    address = path.format(id=here.external_id, alert=alert.pk)
    before = snapshot(here)
    assert_error(Api(user("lead"), read_only=True)(method, address, body), 403, "read_only")
    for role in ("viewer", "revenue"):
        assert_error(Api(user(role))(method, address, body), 403, "forbidden", right)
    assert snapshot(here) == before
    assert Account.objects.count() == 1
    for role in ("specialist", "lead", "admin"):
        assert Api(user(role))(method, address, body).status_code not in (401, 403)


@pytest.mark.django_db
def test_every_role_and_a_read_only_token_may_read():
    here = account(S.NEW)
    reader = Api(user("viewer"), read_only=True)
    for path in ("/accounts", f"/accounts/{here.external_id}", "/alerts", "/openapi.json"):
        assert reader.get(path).status_code == 200
    for list_of in ("transitions", "notes", "tasks"):
        assert reader.get(f"/accounts/{here.external_id}/{list_of}").status_code == 200


# The shape of errors


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/accounts/", "/accounts/none", "/accounts/x%00y", "/bills/9"]
)
def test_an_address_that_is_none_is_a_404(api, path):
    assert_error(api.get(path), 404, "not_found")


def test_an_alert_that_is_none_is_a_404(api):
    for pk in ("0", "9" * 20):
        assert_error(api.post(f"/alerts/{pk}/resolve"), 404, "not_found", "no alert")


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS", "TRACE", "POST"])
def test_a_method_that_an_address_does_not_have_is_a_405(api, method):
    answer = api(method, "/accounts")
    assert_error(answer, 405, "method_not_allowed")
    assert "PUT" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_a_body_that_is_not_said_to_be_json_is_a_415(api, kind):
    assert_error(
        api.put("/accounts", {"accounts": []}, **{"Content-Type": kind}), 415, "unsupported_media_type"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1,",
        b"nope",
        b"{'a': 1}",
        b'{"text": "\xff"}',
        b'{"text": "a\x00b"}',
        b"[" * 100_000,
        "{}".encode("utf-16"),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_a_body_that_is_no_json_is_a_400(api, body):
    here = account(S.NEW)
    assert_error(api.post(f"/accounts/{here.external_id}/notes", body), 400, "malformed")
    assert not Note.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        rb'{"text": "a\u0000b"}',
        rb'{"text": "a\ud800b"}',
        rb'{"text": "\udc00\ud800"}',
        rb'{"text": "a", "\ud800": 1}',
        b'{"text": "a", "text": "b"}',
        b'{"text": NaN}',
        b'{"text": Infinity}',
        b'{"text": -Infinity}',
        b'{"text": 1e999}',
        b'{"text": %s}' % (b"9" * 5_000),
        b'{"text": 5}',
        b'{"text": true}',
        b'{"text": null}',
        b'{"text": ["a"]}',
        b'{"text": ""}',
        b'{"text": "  "}',
        b'{"text": "%s"}' % (b"x" * 20_001),
        b"{}",
        b"[]",
        b"null",
        b'"text"',
        b"",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_body_that_cannot_be_meant_is_a_422_and_writes_nothing(api, body):
    here = account(S.NEW)
    before = snapshot(here)
    assert_error(api.post(f"/accounts/{here.external_id}/notes", body), 422, "invalid")
    assert snapshot(here) == before
    assert not Note.objects.exists()


def test_a_pair_of_surrogates_that_belong_together_is_an_ordinary_character(api):
    here = account(S.NEW)
    assert api.post(f"/accounts/{here.external_id}/notes", rb'{"text": "\ud83d\ude00"}').status_code == 201
    assert Note.objects.get().text == "😀"


def test_a_body_that_is_too_large_is_a_413(api):
    body = b'{"accounts": [' + b" " * 11_000_000 + b"]}"
    assert_error(api.put("/accounts", body), 413, "too_large")


def test_a_failure_of_ours_is_a_500_in_the_same_shape(api, monkeypatch):
    monkeypatch.setattr(door.Door, "check_throttles", lambda *args: 1 / 0)
    answer = api.get("/accounts")
    assert_error(answer, 500, "internal")
    assert "ZeroDivision" not in answer.content.decode()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("move", {"to": "initiated", "from": "new"}),
        ("undo", {"transition": 4}),
        ("leave-paid-call", {"to": "new"}),
        ("notes", {"text": "Hello", "author": "somebody"}),
        ("tasks", {"title": "Call", "due_on": "2026-12-01", "done": True}),
    ],
)
def test_a_field_that_is_not_known_is_refused_by_name(api, path, body):
    here = account(S.NEW)
    before = snapshot(here)
    name = [*body][-1]
    assert_error(api.post(f"/accounts/{here.external_id}/{path}", body), 422, "unknown_fields", name)
    assert snapshot(here) == before


@pytest.mark.parametrize(
    "query",
    [
        *(
            "limit=0",
            "limit=201",
            "limit=x",
            "limit=",
            "cursor=x",
            "cursor=%C3%A9",
            "cursor=a:b:c",
            "cursor=%00",
        ),
        *(
            "stage=9",
            "stage=new&stage=9",
            "q=%00",
            "q=" + "x" * 10_000,
            "owner=%00",
            "owner=999999999",
            "label=none",
        ),
        *("renews=soon", "page=2", "sort=password", "plan=gold", "alert=unheard-of"),
    ],
    ids=lambda query: query[:20],
)
def test_a_parameter_that_is_not_understood_is_a_422_and_never_a_500(api, query):
    account(S.NEW)
    answer = api("GET", f"/accounts?{query}")
    assert_error(answer, 422, "unknown_fields" if query.startswith("page") else "invalid")


# Throttling


def test_without_redis_nobody_is_throttled(api, settings, monkeypatch):
    settings.CACHES = {
        "default": {"BACKEND": "config.cache.TolerantRedisCache", "LOCATION": "redis://127.0.0.1:1/0"}
    }
    monkeypatch.setattr(door, "A_MINUTE", 3)
    assert [api.get("/alerts").status_code for _ in range(5)] == [200] * 5


def test_a_token_that_asks_too_often_is_told_when_to_come_back(api, monkeypatch):
    monkeypatch.setattr(door.time, "time", lambda: 1_800_000_030.5)
    monkeypatch.setattr(door, "A_MINUTE", 3)
    assert [api.get("/alerts").status_code for _ in range(3)] == [200] * 3
    answer = api.get("/alerts")
    assert_error(answer, 429, "too_many_requests")
    assert answer.headers["Retry-After"] == "30"
    assert Api(api.person).get("/alerts").status_code == 200
