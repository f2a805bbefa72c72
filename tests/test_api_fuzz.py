"""The REST API keeps to its own description, whatever it is sent: no failure of ours, no answer it does not name."""

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks as openapi

from apps.crm.models import Alert
from apps.crm.pipeline import Stage
from apps.intake.api import door
from apps.intake.api.schema import described
from apps.intake.tokens import ApiToken
from tests.factories import account, user

CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(described())
SCHEMA.app = get_wsgi_application()
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}  # type: ignore[union-attr]


@pytest.fixture
def _one_connection(db):
    """A request ends with the test's transaction still open, as Django's own test client has it."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.usefixtures("_one_connection")
@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value
)
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_one_that_is_described(label, mode, monkeypatch):
    monkeypatch.setattr(door, "A_MINUTE", 1_000_000)
    lead, known = user("lead"), account(Stage.NEW)
    alert = Alert.objects.create(account=known, kind="reply", subject="s", raised_at=timezone.now())
    bearer = {"Authorization": f"Bearer {ApiToken.objects.issue(lead, now=timezone.now())}"}
    here = {"external_id": known.external_id, "id": alert.pk, "name": "retention"}
    operation = OPERATIONS[label]

    # The same examples each time: what fails here fails everywhere.
    @settings(
        max_examples=12,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=some.booleans())
    def ask(case, known):
        if known and case.path_parameters:
            case.path_parameters.update({name: here[name] for name in case.path_parameters})
        answer = case.call(headers=bearer | {"Accept-Encoding": "identity"})
        case.validate_response(answer, checks=CHECKS)
        answered.append(answer.status_code)

    answered = []
    ask()
    assert len(answered) >= 3
