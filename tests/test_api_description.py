"""The REST API describes itself, and keeps to it."""

from django.core.management import call_command

from tests.apis import assert_error
from tests.factories import user


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
        ("GET", "/metrics"),
        ("GET", "/metrics/{name}"),
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
