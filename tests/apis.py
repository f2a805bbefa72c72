"""A program with a token, and what every error of the API looks like."""

import json

from django.test import Client
from django.utils import timezone

from apps.intake.tokens import ApiToken
from tests.factories import user


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


def assert_error(answer, status, code, *words):
    said = answer.json()
    assert (answer.status_code, said["error"]) == (status, code), said
    assert set(said) == {"error", "detail", "request_id"}
    assert said["request_id"]
    assert said["detail"].endswith((".", "…”.")), said["detail"]
    for word in words:
        assert word in said["detail"]
    assert answer.headers["Content-Type"] == "application/json"
