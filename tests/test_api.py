"""The REST API: each answer it gives, and what it refuses."""

import json
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.crm.models import Account, Bill, Contact, Label, Note, StageTransition, Task
from apps.crm.pipeline import STAGES, Stage, refusal
from apps.intake.api import door
from apps.intake.tokens import ApiToken, IdempotentAnswer
from tests.factories import NOW, account, in_days, snapshot, user, with_facts
from tests.test_pipeline import FACTS, PERMITTED, expected

S = Stage


class Api:
    """A program with a token."""

    def __init__(self, person=None, secret=None, **token):
        self.person = person or user("lead")
        self.secret = secret or ApiToken.objects.issue(self.person, now=timezone.now(), **token)
        self.client = Client(raise_request_exception=False)

    def __call__(self, method, path, body=None, **headers):
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body)
        headers = {"Authorization": f"Bearer {self.secret}", **headers}
        content_type = headers.pop("Content-Type", "application/json")
        return self.client.generic(
            method, f"/api/v1{path}", body or b"", content_type=content_type, headers=headers
        )

    def get(self, path, **query):
        return self("GET", path if not query else f"{path}?{'&'.join(f'{k}={v}' for k, v in query.items())}")

    def post(self, path, body=None, **headers):
        return self("POST", path, body, **headers)

    def put(self, path, body=None, **headers):
        return self("PUT", path, body, **headers)


@pytest.fixture
def api(db):
    return Api()


def assert_error(answer, status, code, *words):
    said = answer.json()
    assert (answer.status_code, said["error"]) == (status, code), said
    assert set(said) == {"error", "detail", "request_id"}
    assert said["request_id"]
    assert said["detail"].endswith((".", "…”.")), said["detail"]
    for word in words:
        assert word in said["detail"]
    assert answer.headers["Content-Type"] == "application/json"


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


# Accounts


def test_an_account_is_shown_with_its_facts_and_its_moves(api):
    owner = user("specialist", username="ada")
    here = account(
        S.AWAITING_FINAL_OUTREACH,
        external_id="a/b 1",
        name="Acme",
        plan="yc",
        mrr="12.50",
        owner=owner,
        sales_contact_kind="AE",
        sales_contact_name="Sue",
    )
    here.contacts.create(email="eve@acme.example", name="Eve")
    here.labels.add(Label.objects.create(name="hype"))
    said = api.get("/accounts/a%2Fb%201").json()
    facts = {
        "external_id": "a/b 1",
        "name": "Acme",
        "plan": "yc",
        "mrr": "12.50",
        "forecast": None,
        "owner": "ada",
        "sales_contact": {"kind": "AE", "name": "Sue", "email": ""},
        "contacts": [{"email": "eve@acme.example", "name": "Eve", "role": "", "do_not_contact": False}],
        "labels": ["hype"],
        "engaged_at": None,
        "engaged_via": None,
        "next_renewal_on": in_days(30).isoformat(),
        "stage": "awaiting_final_outreach",
        "stage_since": "2026-11-21T09:00:00Z",
        "version": 1,
    }
    assert {name: said[name] for name in facts} == facts
    moves = {move["to"]: move for move in said["moves"]}
    assert set(moves) == {stage.value for stage in STAGES} - {"awaiting_final_outreach"}
    assert moves["churned"] == {"to": "churned", "permitted": True, "refusal": None, "needs": "reason"}
    assert moves["onboarded_no_engagement"] == {
        "to": "onboarded_no_engagement",
        "permitted": True,
        "refusal": None,
        "needs": None,
    }
    assert moves["initiated"]["permitted"] is False
    assert moves["initiated"]["refusal"] == refusal(here, S.INITIATED)


def test_an_account_outside_the_pipeline_has_no_stage_and_thirteen_moves(api):
    said = api.get(f"/accounts/{account().external_id}").json()
    assert (said["stage"], said["stage_since"], said["version"]) == (None, None, 0)
    assert [move["to"] for move in said["moves"] if move["permitted"]] == ["new", "paid_call_purchased"]
    assert len(said["moves"]) == 13


def test_the_list_is_paged_by_cursor_and_each_account_comes_once(api):
    made = [account(S.NEW).external_id for _ in range(7)]
    seen, cursor, sizes = [], None, []
    while True:
        said = api.get("/accounts", limit=3, **({"cursor": cursor} if cursor else {})).json()
        seen += [one["external_id"] for one in said["results"]]
        sizes.append(len(said["results"]))
        if (cursor := said["next"]) is None:
            break
    assert (seen, sizes) == (made, [3, 3, 1])


def test_a_list_holds_fifty_unless_asked_otherwise(api):
    for _ in range(51):
        account()
    said = api.get("/accounts").json()
    assert (len(said["results"]), bool(said["next"])) == (50, True)
    assert len(api.get("/accounts", limit=200).json()["results"]) == 51


def test_the_list_is_narrowed_and_sorted_as_the_pages_are(api):
    mine = account(S.NEW, name="Blue Whale", owner=api.person, mrr=5)
    other = account(S.INITIATED, name="Blue Heron", owner=user(username="ada"), mrr=9)
    none = account(S.CHURNED, name="Red Fox", next_renewal_on=in_days(3))
    outside = account(name="Grey Goose", mrr=7)
    ids = {one.external_id: one.name.split()[1] for one in (mine, other, none, outside)}

    def found(query):
        return " ".join(ids[one["external_id"]] for one in api("GET", f"/accounts?{query}").json()["results"])

    assert found("stage=new&stage=churned") == "Whale Fox"
    assert found("stage=outside") == "Goose"
    assert found("owner=me") == "Whale"
    assert found(f"owner={other.owner_id}") == "Heron"
    assert found("owner=none") == "Fox Goose"
    assert found("q=blue") == "Whale Heron"
    assert found("q=blue&stage=new") == "Whale"
    assert found("renews=0-10") == "Fox"
    assert found("q=&owner=&renews=&sort=&cursor=") == "Whale Heron Fox Goose"
    assert found("sort=mrr") == "Whale Goose Heron Fox"
    assert found("sort=-mrr&limit=2") == "Heron Goose"


def test_a_cursor_holds_for_the_order_it_was_given_out_for(api):
    for number in range(3):
        account(mrr=number)
    cursor = api.get("/accounts", sort="-mrr", limit=2).json()["next"]
    assert len(api.get("/accounts", sort="-mrr", limit=2, cursor=cursor).json()["results"]) == 1
    assert_error(api.get("/accounts", limit=2, cursor=cursor), 422, "invalid", "cursor")


@pytest.mark.parametrize("rows", [5, 50])
def test_the_number_of_queries_does_not_grow_with_the_accounts(api, rows):
    for number in range(rows):
        here = account(S.NEW, owner=user())
        here.contacts.create(email=f"{number}@acme.example")
        here.labels.add(Label.objects.create(name=str(number)))
        here.add_note("Hello", by=user(), now=NOW)
        here.add_task("Call", in_days(1), by=user(), now=NOW, assignee=user())
        here.alerts.create(kind="missed-outreach", text="Late", raised_at=NOW, assignee=user())
    api.get("/accounts")
    with CaptureQueriesContext(connection) as queries:
        said = api.get("/accounts").json()
    assert len(said["results"]) == rows
    assert len(queries) == 6  # token, roles, policy, accounts, contacts, labels
    with CaptureQueriesContext(connection) as queries:
        assert len(api.get("/alerts").json()["results"]) == rows
    assert len(queries) == 3


# Reports


def test_a_report_creates_updates_and_leaves_alone(api):
    old, same = account(S.NEW, name="Old", mrr="1.00"), account(S.NEW, name="Same")
    report = {
        "accounts": [
            {
                "external_id": "fresh",
                "name": "Fresh",
                "contacts": [{"email": "Eve@Fresh.example"}],
                "labels": ["hype"],
            },
            {"external_id": old.external_id, "mrr": "20.50"},
            {"external_id": same.external_id, "name": "Same"},
        ]
    }
    answer = api.put("/accounts", report)
    assert (answer.status_code, answer.json()) == (200, {"created": 1, "updated": 1, "unchanged": 1})
    fresh = Account.objects.get(external_id="fresh")
    assert (fresh.name, fresh.stage, fresh.version) == ("Fresh", "", 0)
    assert list(fresh.contacts.values_list("email", flat=True)) == ["eve@fresh.example"]
    old.refresh_from_db()
    assert (old.name, str(old.mrr), old.stage, old.version) == ("Old", "20.50", S.NEW, 1)
    assert api.put("/accounts", report).json() == {"created": 0, "updated": 0, "unchanged": 3}


GOOD = {"external_id": "good", "name": "Good"}


@pytest.mark.parametrize(
    ("accounts", "code", "words"),
    [
        ([GOOD, {"external_id": "x", "name": "X", "stage": "new"}], "unknown_fields", "stage"),
        ([GOOD, {"external_id": "x", "name": "X", "version": 3}], "unknown_fields", "version"),
        ([GOOD, {"external_id": "x"}], "invalid", "accounts[1].name is missing"),
        ([GOOD, {"name": "X"}], "invalid", "accounts[1].external_id is missing"),
        ([GOOD, {"external_id": "x", "name": "X", "mrr": "1,234.50"}], "invalid", "accounts[1].mrr"),
        ([GOOD, {"external_id": "x", "name": "X", "mrr": 12.5}], "invalid", "accounts[1].mrr"),
        (
            [GOOD, {"external_id": "x", "name": "X", "next_renewal_on": "2026-02-30"}],
            "invalid",
            "next_renewal_on",
        ),
        ([GOOD, {"external_id": "x", "name": "X", "users_count": -1}], "invalid", "users_count"),
        ([GOOD, {"external_id": "x", "name": "X", "contacts": [{"email": "no"}]}], "invalid", "contacts"),
        ([GOOD, {"external_id": "x", "name": "X", "contacts": "eve@acme.example"}], "invalid", "contacts"),
        ([GOOD, GOOD], "invalid", "twice"),
        ([GOOD, "good"], "invalid", "accounts[1] is not an object"),
        ([GOOD, None], "invalid", "accounts[1]"),
        ([], "invalid", "accounts"),
        ({}, "invalid", "accounts"),
        ([{"external_id": f"x{number}", "name": "X"} for number in range(1001)], "invalid", "1000"),
        (
            [*({"external_id": f"x{n}", "name": "X"} for n in range(99)), {"external_id": "y", "mrr": "x"}],
            "invalid",
            "99",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_one_bad_account_of_a_report_and_nothing_is_written(api, accounts, code, words):
    assert_error(api.put("/accounts", {"accounts": accounts}), 422, code, words)
    assert not Account.objects.exists()
    assert not Contact.objects.exists()


def test_a_thousand_accounts_go_in_at_once(api):
    accounts = [{"external_id": f"x{number}", "name": f"Account {number}"} for number in range(1000)]
    assert api.put("/accounts", {"accounts": accounts}).json() == {
        "created": 1000,
        "updated": 0,
        "unchanged": 0,
    }


# Moves


def telling_facts(source):
    """Every mix of facts where a move from here hangs on one, else the two ends."""
    hangs = any(" " in who for (start, _), who in PERMITTED.items() if start == source)
    return FACTS if hangs else [FACTS[0], FACTS[-1]]


@pytest.mark.django_db
@pytest.mark.parametrize("source", Stage, ids=lambda stage: stage.number)
def test_every_pair_is_permitted_or_refused_from_the_api_as_the_table_says(source):
    api = Api(user("specialist"))
    for facts in telling_facts(source):
        here = with_facts(source, **facts)
        before = snapshot(here)
        address = f"/accounts/{here.external_id}"
        told = {move["to"]: move["permitted"] for move in api.get(address).json()["moves"]}
        for target in Stage:
            if target == source:
                continue
            with transaction.atomic():
                answer = api.post(f"{address}/move", {"to": target.value or None, "reason": "because"})
                if expected(source, target, facts, automatic=False):
                    assert answer.status_code == 200
                    said = answer.json()
                    assert (said["stage"], said["version"]) == (target.value, before["version"] + 1)
                    row = StageTransition.objects.filter(account=here).latest("version")
                    assert (row.from_stage, row.to_stage, row.cause, row.by) == (
                        source,
                        target,
                        "api",
                        api.person,
                    )
                    assert told[target] is True
                else:
                    assert_error(answer, 409, "refused")
                    assert answer.json()["detail"] == refusal(here, target)
                    assert snapshot(here) == before
                    assert told.get(target, False) is False
                transaction.set_rollback(True)
        assert snapshot(here) == before


def test_a_move_to_where_it_stands_changes_nothing(api):
    here = account(S.NEW)
    before = snapshot(here)
    for version in (None, 1):
        answer = api.post(f"/accounts/{here.external_id}/move", {"to": "new", "version": version})
        assert (answer.status_code, answer.json()["version"]) == (200, 1)
    assert snapshot(here) == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"to": "somewhere"}, 422, "unknown_stage"),
        ({"to": "2. Onboarding Initiated"}, 422, "unknown_stage"),
        ({"to": 5}, 422, "unknown_stage"),
        ({"to": ["initiated"]}, 422, "unknown_stage"),
        ({"to": ""}, 422, "unknown_stage"),
        ({}, 422, "invalid"),
        ({"to": "churned"}, 422, "reason_required"),
        ({"to": "sales_handoff", "reason": "  "}, 422, "reason_required"),
        ({"to": "initiated", "version": 0}, 409, "conflict"),
        ({"to": "new", "version": 0}, 409, "conflict"),
        ({"to": "initiated", "version": -1}, 422, "invalid"),
        ({"to": "initiated", "version": "1"}, 422, "invalid"),
        ({"to": "initiated", "version": True}, 422, "invalid"),
        ({"to": "initiated", "reason": "x" * 2001}, 422, "invalid"),
        ({"to": "initiated", "reason": 5}, 422, "invalid"),
        ({"to": "second_call_completed"}, 409, "refused"),
        ({"to": None}, 409, "refused"),
    ],
)
def test_a_move_that_cannot_be_made_says_why_and_changes_nothing(api, body, status, code):
    here = account(S.NEW)
    before = snapshot(here)
    assert_error(api.post(f"/accounts/{here.external_id}/move", body), status, code)
    assert snapshot(here) == before


def test_a_move_can_be_undone_through_the_api_and_the_undo_cannot(api):
    here = account(S.INITIATED)
    address = f"/accounts/{here.external_id}"
    assert api.post(f"{address}/move", {"to": "engaged_email", "version": 1}).json()["engaged_via"] == "email"
    assert_error(api.post(f"{address}/undo", {"version": 1}), 409, "conflict")
    said = api.post(f"{address}/undo", {"version": 2, "reason": "Wrong account"}).json()
    assert (said["stage"], said["version"], said["engaged_at"]) == ("initiated", 3, None)
    assert here.transitions.latest("version").reason == "Wrong account"
    assert_error(api.post(f"{address}/undo"), 409, "refused", "cannot be undone")


def test_a_colleagues_move_is_not_undone_through_the_api(api):
    here = account(S.NEW)
    here.move(S.INITIATED, by=user(first_name="Ada"), now=timezone.now(), cause="board")
    before = snapshot(here)
    assert_error(api.post(f"/accounts/{here.external_id}/undo"), 409, "refused", "only they can undo it")
    assert snapshot(here) == before


@pytest.mark.parametrize("stage", [S.OUTSIDE, S.INITIATED])
def test_an_account_leaves_a_paid_call_for_where_it_was(api, stage):
    here = account(stage)
    address = f"/accounts/{here.external_id}"
    before = snapshot(here)
    assert_error(api.post(f"{address}/leave-paid-call"), 409, "refused", "no paid call to leave")
    assert snapshot(here) == before
    api.post(f"{address}/move", {"to": "paid_call_purchased"})
    said = api.post(f"{address}/leave-paid-call", {"reason": "Refunded"}).json()
    assert (said["stage"], said["version"]) == (stage.value or None, here.version + 2)


def test_the_ledger_is_listed_newest_first(api):
    here = account()
    now = timezone.now()
    for target, reason in [(S.NEW, ""), (S.CHURNED, "They left"), (S.NEW, "They are back")]:
        here.move(target, by=api.person, now=now, cause="board", reason=reason)
    said = api.get(f"/accounts/{here.external_id}/transitions", limit=2).json()
    assert [(row["from"], row["to"], row["version"], row["reason"]) for row in said["results"]] == [
        ("churned", "new", 3, "They are back"),
        ("new", "churned", 2, "They left"),
    ]
    assert set(said["results"][0]) == {"from", "to", "at", "by", "cause", "reason", "version"}
    assert (said["results"][0]["by"], said["results"][0]["cause"]) == (api.person.username, "board")
    rest = api.get(f"/accounts/{here.external_id}/transitions", cursor=said["next"]).json()
    assert [(row["from"], row["to"]) for row in rest["results"]] == [(None, "new")]
    assert rest["next"] is None


# Notes, tasks, alerts


def test_a_note_is_written_as_typed_and_listed(api):
    here = account(S.NEW)
    text = "  **Hello** <script>alert(1)</script> \u202e\n"
    answer = api.post(f"/accounts/{here.external_id}/notes", {"text": text})
    assert answer.status_code == 201
    said = answer.json()
    assert (said["text"], said["author"], said["kind"]) == (text, api.person.username, "note")
    assert api.get(f"/accounts/{here.external_id}/notes").json() == {"results": [said], "next": None}
    here.refresh_from_db()
    assert here.notes_count == 1


def test_a_task_is_added_for_a_colleague_and_listed(api):
    here, ada = account(S.NEW), user("specialist", username="ada")
    body = {"title": "Call them", "due_on": "2026-12-01", "assignee": "ada"}
    answer = api.post(f"/accounts/{here.external_id}/tasks", body)
    assert answer.status_code == 201
    said = answer.json()
    assert {name: said[name] for name in body} == body
    assert (said["created_by"], said["done_at"]) == (api.person.username, None)
    assert api.get(f"/accounts/{here.external_id}/tasks").json() == {"results": [said], "next": None}
    assert Task.objects.get().assignee == ada
    here.refresh_from_db()
    assert here.next_task_on.isoformat() == "2026-12-01"


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"due_on": "2026-02-30"}, "due_on"),
        ({"due_on": "31/12/26"}, "due_on"),
        ({"due_on": None}, "due_on"),
        ({"title": ""}, "title"),
        ({"title": "x" * 301}, "title"),
        ({"assignee": "nobody"}, "assignee"),
        ({"assignee": "watcher"}, "assignee"),
        ({"assignee": 7}, "assignee"),
    ],
)
def test_a_task_that_cannot_be_is_refused(api, changed, word):
    here = account(S.NEW)
    user("viewer", username="watcher")
    before = snapshot(here)
    body = {"title": "Call them", "due_on": "2026-12-01", **changed}
    assert_error(api.post(f"/accounts/{here.external_id}/tasks", body), 422, "invalid", word)
    assert snapshot(here) == before


def test_alerts_are_listed_narrowed_and_resolved(api):
    late, other = account(S.NEW), account(S.NEW)
    first, second = (
        one.alerts.create(kind="missed-outreach", text="Write now", raised_at=NOW) for one in (late, other)
    )
    Account.objects.all().recount()
    said = api.get("/alerts", account=late.external_id, kind="", open="true").json()["results"]
    assert said == [
        {
            "id": first.pk,
            "account": late.external_id,
            "kind": "missed-outreach",
            "subject": "",
            "text": "Write now",
            "attempts": 0,
            "raised_at": "2026-11-21T09:00:00Z",
            "resolved_at": None,
            "assignee": None,
        }
    ]
    answer = api.post(f"/alerts/{first.pk}/resolve", {"resolution": "Wrote to them"})
    assert answer.status_code == 200
    resolved_at = answer.json()["resolved_at"]
    assert resolved_at
    again = api.post(f"/alerts/{first.pk}/resolve", {"resolution": "Me too"})
    assert (again.status_code, again.json()["resolved_at"]) == (200, resolved_at)
    first.refresh_from_db()
    assert (first.resolved_by, first.resolution) == (api.person, "Wrote to them")
    late.refresh_from_db()
    assert late.open_alerts == 0
    assert [one["id"] for one in api.get("/alerts", open="true").json()["results"]] == [second.pk]
    assert [one["id"] for one in api.get("/alerts", open="false").json()["results"]] == [first.pk]
    assert [one["id"] for one in api.get("/alerts").json()["results"]] == [second.pk, first.pk]
    assert api.get("/alerts", kind="failed-payment").json()["results"] == []
    assert_error(api.get("/alerts", open="maybe"), 422, "invalid", "open")


# Bills


def test_bills_are_reported_shown_and_final_once_paid(api):
    here, other = account(S.NEW), account(S.NEW)
    bill = {
        "id": "in_1",
        "account": here.external_id,
        "period_start": "2026-11-01",
        "period_end": "2026-12-01",
        "amount": "1234.50",
        "currency": "EUR",
        "status": "paid",
        "due_on": "2026-12-03",
        "paid_at": "2026-12-02T10:00:00Z",
        "attempts": 1,
    }
    second = {"id": "in_2", "account": other.external_id, "amount": "0", "status": "open"}
    report = {"bills": [bill, second]}
    assert api.put("/bills", report).json() == {"created": 2, "updated": 0, "unchanged": 0}
    report["bills"][1] |= {"attempts": 2}
    assert api.put("/bills", report).json() == {"created": 0, "updated": 1, "unchanged": 1}
    report["bills"][0] = bill | {"status": "open"}
    assert api.put("/bills", report).json() == {"created": 0, "updated": 0, "unchanged": 2}
    assert api.get("/bills", account=here.external_id).json() == {"results": [bill], "next": None}
    assert [one["id"] for one in api.get("/bills").json()["results"]] == ["in_2", "in_1"]
    here.refresh_from_db()
    assert here.bills_held == 1


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"account": "nobody"}, "bills[1].account: There is no account"),
        ({"id": "in_0"}, "bills[1].id: Stands in the same report twice."),
        ({"id": "theirs"}, "bills[1].id: Is a bill of another account."),
        ({"amount": 12.5}, "bills[1].amount"),
        ({"amount": "1,234.50"}, "bills[1].amount"),
        ({"amount": "NaN"}, "bills[1].amount"),
        ({"amount": "5\n"}, "bills[1].amount"),
        ({"amount": None}, "bills[1].amount"),
        ({"currency": "usd"}, "bills[1].currency"),
        ({"status": "lost"}, "bills[1].status"),
        ({"attempts": -1}, "bills[1].attempts"),
        ({"attempts": 3_000_000_000}, "bills[1].attempts"),
        ({"due_on": "2026-02-30"}, "bills[1].due_on"),
        ({"paid_at": "yesterday"}, "bills[1].paid_at"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_one_bad_bill_of_a_report_and_nothing_is_written(api, changed, words):
    here = account(S.NEW)
    account().bills.create(external_id="theirs", status="open", amount=1, reported_at=NOW)
    before = list(Bill.objects.values())
    good = {"account": here.external_id, "amount": "5.00", "status": "open"}
    report = {"bills": [good | {"id": "in_0"}, good | {"id": "in_1"} | changed]}
    code = "unknown_fields" if "colour" in changed else "invalid"
    assert_error(api.put("/bills", report), 422, code, words)
    assert list(Bill.objects.values()) == before


# Sent again


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


# The description


def test_the_description_is_valid_and_says_nothing_doubtful(tmp_path):
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "api.yml"))


def test_the_description_is_complete_and_says_each_answer(api):
    said = api.get("/openapi.json").json()
    operations = {
        (method.upper(), path): operation
        for path, methods in said["paths"].items()
        for method, operation in methods.items()
    }
    assert {(method, path.removeprefix("/api/v1")) for method, path in operations} == {
        ("GET", "/accounts"),
        ("PUT", "/accounts"),
        ("GET", "/accounts/{external_id}"),
        ("POST", "/accounts/{external_id}/move"),
        ("POST", "/accounts/{external_id}/undo"),
        ("POST", "/accounts/{external_id}/leave-paid-call"),
        ("GET", "/accounts/{external_id}/transitions"),
        ("GET", "/accounts/{external_id}/notes"),
        ("POST", "/accounts/{external_id}/notes"),
        ("GET", "/accounts/{external_id}/tasks"),
        ("POST", "/accounts/{external_id}/tasks"),
        ("GET", "/bills"),
        ("PUT", "/bills"),
        ("GET", "/alerts"),
        ("POST", "/alerts/{id}/resolve"),
    }
    assert len({operation["operationId"] for operation in operations.values()}) == len(operations)
    for operation in operations.values():
        assert operation["security"] == [{"token": []}]
        assert {"401", "403", "429"} <= set(operation["responses"])
        for status, answer in operation["responses"].items():
            schema = answer["content"]["application/json"]["schema"]
            assert (schema == {"$ref": "#/components/schemas/ErrorAnswer"}) == (status >= "400")
    assert said["components"]["schemas"]["MoveBody"]["additionalProperties"] is False


def test_the_description_opens_for_people_who_are_logged_in_and_for_nobody_else(client, db):
    assert_error(client.get("/api/v1/openapi.json"), 401, "unauthorized")
    assert client.get("/api/v1/docs").status_code == 302
    client.force_login(user("viewer"))
    assert client.get("/api/v1/openapi.json").status_code == 200
    page = client.get("/api/v1/docs")
    assert page.status_code == 200
    text = page.content.decode()
    assert "swagger-ui-bundle.js" in text
    assert "<style" not in text
    assert "style=" not in text
    assert "//" not in text.replace("<!doctype html>", "")
    assert text.count("<script") == text.count("<script src=")
