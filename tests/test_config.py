"""The settings: what they demand, what they tell a browser, and that Redis may be away."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from structlog.testing import capture_logs

from config.cache import TolerantRedisCache, TolerantRedisClient
from config.wsgi import refuse_demo_logins

ROOT = Path(__file__).resolve().parent.parent
PRODUCTION = {
    "SECRET_KEY": "k" * 50,
    "ALLOWED_HOSTS": "onramp.example",
    "DATABASE_URL": "postgres:///nowhere",
}
OURS = {*PRODUCTION, "DEBUG", "DEMO", "BASE_URL", "REDIS_URL", "PORT", "STATE_DIR"}


def start(tmp_path: Path, code: str = "import config.settings", **variables: str):
    """Runs Python with these variables of ours and no others."""
    environment = {key: value for key, value in os.environ.items() if key not in OURS}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment | {"STATE_DIR": str(tmp_path)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in PRODUCTION.items() if key != name}


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (without("SECRET_KEY"), "SECRET_KEY is missing"),
        (without("ALLOWED_HOSTS"), "ALLOWED_HOSTS is missing"),
        (PRODUCTION | {"DEMO": "1"}, "DEMO makes logins with a known password"),
        (PRODUCTION | {"DEBUG": "1"}, "DEBUG shows a stranger too much"),
        (PRODUCTION | {"DEBUG": "1", "ALLOWED_HOSTS": "*"}, "DEBUG shows a stranger too much"),
        (PRODUCTION | {"DATABASE_URL": "sqlite:///here"}, "DATABASE_URL must be a PostgreSQL address"),
        (PRODUCTION | {"OIDC_ISSUER": "https://id.example"}, "OIDC_ISSUER needs"),
    ],
)
def test_an_unsafe_start_fails_and_says_why(tmp_path: Path, variables: dict[str, str], sentence: str):
    done = start(tmp_path, **variables)
    assert done.returncode == 1
    assert sentence in done.stderr.splitlines()[-1]


def test_a_production_start_is_closed_in_every_way(tmp_path: Path):
    names = (
        "DEBUG DEMO SESSION_COOKIE_NAME CSRF_COOKIE_NAME SESSION_COOKIE_SECURE CSRF_COOKIE_SECURE SECURE_SSL_REDIRECT "
        "BASE_URL"
    )
    code = f"from config import settings as s; print(*(getattr(s, name) for name in '{names}'.split()))"
    done = start(tmp_path, code, **PRODUCTION)
    assert done.stdout.split() == [
        *(
            "False",
            "False",
            "__Host-sessionid",
            "__Host-csrftoken",
            "True",
            "True",
            "True",
            "https://onramp.example",
        )
    ]


def test_a_secret_may_come_from_a_file(tmp_path: Path):
    (tmp_path / "key").write_text("from-a-file")
    code = "from config import settings; print(settings.SECRET_KEY)"
    done = start(tmp_path, code, **without("SECRET_KEY"), SECRET_KEY_FILE=str(tmp_path / "key"))
    assert done.stdout.strip() == "from-a-file"


def test_the_example_lists_exactly_the_variables_that_are_read():
    read: set[str] = set()
    for path in (ROOT / "config").rglob("*.py"):
        read |= set(re.findall(r"""\b(?:env\.\w+|environ\.get)\(\s*"([A-Z_]+)\"""", path.read_text()))
    listed = re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), flags=re.M)
    assert sorted(listed) == sorted(read)


@pytest.mark.django_db
def test_a_page_is_closed_and_its_policy_strict(client: Client):
    answer = client.get("/accounts/2fa/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/?next=/accounts/2fa/")
    policy = dict(part.strip().partition(" ")[::2] for part in answer["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"


@pytest.mark.django_db
def test_nobody_signs_up_by_themselves(client: Client, django_user_model):
    form = {
        "username": "eve",
        "email": "eve@x.example",
        "password1": "long-enough-1",
        "password2": "long-enough-1",
    }
    client.post("/accounts/signup/", form)
    assert not django_user_model.objects.exists()


@pytest.mark.django_db
def test_the_admin_has_no_login_page_of_its_own(client: Client):
    answer = client.get("/admin/login/?next=/admin/")
    assert (answer.status_code, unquote(answer["Location"])) == (302, "/accounts/login/?next=/admin/")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["ann", "ann@team.example"])
def test_a_colleague_logs_in_by_name_or_address(client: Client, django_user_model, name: str):
    django_user_model.objects.create_user("ann", "ann@team.example", "right-horse-9")
    answer = client.post("/accounts/login/", {"login": name, "password": "right-horse-9"})
    assert (answer.status_code, answer["Location"]) == (302, "/")


@pytest.mark.django_db
def test_demo_logins_may_not_be_served(django_user_model):
    refuse_demo_logins()
    django_user_model.objects.create_user("lead", "lead@onramp.example", "demo-onboarding")
    with pytest.raises(ImproperlyConfigured, match="demo logins"):
        refuse_demo_logins()


def test_a_cache_that_is_away_answers_as_an_empty_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(TolerantRedisClient, "away_until", 0.0)
    monkeypatch.setattr("config.cache.PAUSE_SECONDS", 3600)
    cache = TolerantRedisCache("redis://127.0.0.1:1/0", {})
    with capture_logs() as said:
        cache.set("a", 1)
        assert cache.get("a", "nothing") == "nothing"
        assert cache.get_many(["a", "b"]) == {}
        assert cache.add("a", 1)
    assert [one["method"] for one in said] == ["set"], "it is asked once, and not again for a while"


def test_the_bell_is_rung_once_and_never_waited_for():
    assert settings.CELERY_TASK_PUBLISH_RETRY_POLICY == {"max_retries": 0}
    assert settings.CELERY_BROKER_TRANSPORT_OPTIONS["socket_timeout"] == 1
    assert settings.CELERY_TASK_IGNORE_RESULT
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
