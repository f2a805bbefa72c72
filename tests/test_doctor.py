"""Each thing the doctor looks at, made bad once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from apps.crm import demo
from apps.crm.models import Account, StageTransition
from apps.crm.pipeline import Stage
from apps.playbooks.models import Switch
from apps.playbooks.registry import PLAYBOOKS
from apps.web import doctor
from config.celery import redis_client
from tests.factories import NOW, account, user

pytestmark = pytest.mark.django_db


def bad(check):
    """What a check finds wrong."""
    return [said for well, said in check() if not well]


def without_triggers(statement, *values):
    """Do to the database what its triggers would refuse."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(statement, values)
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")


def test_it_says_a_line_for_each_check_and_fails_when_one_is_bad(monkeypatch, capsys):
    checks = {"this": lambda: iter([(True, "is fine")]), "that": lambda: iter([(False, "is not")])}
    monkeypatch.setattr(doctor, "CHECKS", checks)
    with pytest.raises(SystemExit) as left:
        call_command("doctor")
    assert left.value.code == 1
    assert capsys.readouterr().out == "ok   this       is fine\nbad  that       is not\n"
    monkeypatch.setattr(doctor, "CHECKS", {"this": checks["this"]})
    call_command("doctor")


def test_a_check_that_cannot_be_made_is_bad_and_the_next_goes_on(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = list(doctor.examine())
    assert {finding.what for finding in found if "no answer" in finding.detail} == {"broker"}
    assert found[-1].what == "counts"


def test_database_is_new_enough_and_migrated_and_keeps_what_it_has_committed():
    durable = ("fsync", "synchronous_commit", "full_page_writes")
    with connection.cursor() as cursor:
        # The throw-away servers of a test run keep nothing, and the doctor says so of each setting.
        cursor.execute(
            "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = 'off'", [list(durable)]
        )
        off = {f"{name} is off" for (name,) in cursor.fetchall()}
        assert set(bad(doctor.database)) == off
        cursor.execute("SET LOCAL synchronous_commit = off")
        cursor.execute(
            "DELETE FROM django_migrations"
            " WHERE id = (SELECT max(id) FROM django_migrations WHERE app = 'playbooks')"
        )
    assert set(bad(doctor.database)) >= {
        "synchronous_commit is off",
        "1 migrations wait; `manage.py migrate` applies them",
    }


def test_a_broker_that_forgets_is_bad(valkey):
    with redis_client() as broker:
        broker.config_set("appendonly", "no")
        broker.config_set("maxmemory-policy", "allkeys-lru")
        assert bad(doctor.broker) == [
            "appendonly is no, to be yes",
            "maxmemory-policy is allkeys-lru, to be noeviction",
        ]
        broker.config_set("appendonly", "yes")
        broker.config_set("maxmemory-policy", "noeviction")
    assert bad(doctor.broker) == []


@pytest.mark.parametrize("key", ["short", "a" * 60, "django-insecure-" + "0123456789abcdef" * 4])
def test_a_key_that_can_be_guessed_is_bad(settings, key):
    settings.DEBUG = True
    settings.SECRET_KEY = key
    assert len(bad(doctor.secrets)) == 1
    settings.SECRET_KEY = "kV3x9QmZ7rT1wYpL5nB8cD2fG4hJ6sA0eUiOoMtR0Pq-7_wErTy"
    assert bad(doctor.secrets) == []


def test_demo_logins_are_bad_in_production(settings):
    settings.DEBUG = False
    settings.SECRET_KEY = "kV3x9QmZ7rT1wYpL5nB8cD2fG4hJ6sA0eUiOoMtR0Pq-7_wErTy"
    assert bad(doctor.secrets) == []
    demo.add_logins(now=timezone.now())
    assert bad(doctor.secrets) == ["6 demo logins, whose password everybody knows"]


def test_a_stage_without_its_history_is_found():
    moved = account(Stage.INITIATED)
    account()
    assert bad(doctor.ledger) == []
    without_triggers("UPDATE crm_account SET stage = 'churned' WHERE id = %s", moved.pk)
    assert bad(doctor.ledger) == ["1 accounts stand elsewhere than their history leads"]


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM crm_stagetransition WHERE account_id = %s AND version = 1",
        "UPDATE crm_stagetransition SET from_stage = 'churned' WHERE account_id = %s AND version = 2",
        "DELETE FROM crm_stagetransition WHERE account_id = %s",
    ],
)
def test_a_history_with_a_hole_is_found(harm):
    moved = account(Stage.NEW)
    moved.move(Stage.INITIATED, by=None, now=NOW, cause="list")
    assert bad(doctor.ledger) == []
    without_triggers(harm, moved.pk)
    assert bad(doctor.ledger) == ["1 accounts stand elsewhere than their history leads"]


def test_a_count_kept_wrong_is_found_and_left_alone():
    here = account(Stage.NEW)
    assert bad(doctor.counts) == []
    Account.objects.filter(pk=here.pk).update(notes_count=7)
    assert bad(doctor.counts) == ["kept wrong on 1 accounts"]
    here.refresh_from_db()
    assert here.notes_count == 7
    assert StageTransition.objects.count() == 1


def test_a_playbook_that_has_stood_still_is_bad_and_a_paused_one_is_not():
    late = min(PLAYBOOKS)
    assert len(bad(doctor.backlog)) == len(PLAYBOOKS)
    now = timezone.now()
    Switch.objects.ran([*PLAYBOOKS], now=now)
    assert bad(doctor.backlog) == []
    Switch.objects.ran([late], now=now - timedelta(hours=1))
    assert [said.partition(" ran")[0] for said in bad(doctor.backlog)] == [f"playbook {late}"]
    Switch.objects.turn(late, paused=True, by=user("lead"), now=now)
    assert bad(doctor.backlog) == []


def test_the_clocks_agree():
    assert bad(doctor.clock) == []


def test_a_log_address_without_secrets_a_short_secret_and_a_colleagues_address_are_bad(settings):
    settings.MAIL_WEBHOOK_SECRETS, settings.MAIL_LOG_ADDRESS = [], ""
    assert bad(doctor.mail_door) == []
    settings.MAIL_LOG_ADDRESS = "log@in.onramp.example"
    assert bad(doctor.mail_door) == ["MAIL_LOG_ADDRESS is set, but not MAIL_WEBHOOK_SECRETS"]
    settings.MAIL_WEBHOOK_SECRETS = ["short"]
    assert bad(doctor.mail_door) == ["secrets are shorter than 16 characters"]
    settings.MAIL_WEBHOOK_SECRETS = ["hooks:a-long-secret-of-ours"]
    user("specialist", email="Log@in.onramp.example")
    assert bad(doctor.mail_door) == ["log@in.onramp.example is a colleague's address"]
