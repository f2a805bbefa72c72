"""The REST API: notes, tasks, alerts and bills."""

import pytest

from apps.crm.models import Account, Bill, Task
from apps.crm.pipeline import Stage
from tests.apis import assert_error
from tests.factories import NOW, account, snapshot, user

S = Stage


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
