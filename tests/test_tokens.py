"""API tokens: made once, kept as a hash, taken back for good."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.intake.tokens import ApiToken, digest
from tests.factories import NOW, user

pytestmark = pytest.mark.django_db


def create_token(*args):
    out = StringIO()
    call_command("create_token", *args, stdout=out)
    return out.getvalue()


def test_the_command_prints_the_token_alone_and_keeps_only_its_hash():
    person = user(username="grace")
    printed = create_token("grace", "--name", "Billing sync", "--read-only")
    secret = printed.removesuffix("\n")
    assert len(secret.split()) == 1
    assert len(secret) >= 43
    kept = ApiToken.objects.values().get()
    assert secret not in str(kept)
    assert (kept["user_id"], kept["name"], kept["read_only"]) == (person.pk, "Billing sync", True)
    assert kept["hash"] == digest(secret)
    assert ApiToken.objects.find(secret).pk == kept["id"]


@pytest.mark.parametrize("login", ["nobody", "left"])
def test_no_token_is_made_for_somebody_who_is_not_here(login):
    user(username="left", is_active=False)
    with pytest.raises(CommandError, match=f"no active user with the login '{login}'"):
        create_token(login)
    assert not ApiToken.objects.exists()


def test_two_tokens_of_one_user_differ_and_a_revoked_one_stays_revoked():
    person = user()
    first, second = (ApiToken.objects.issue(person, now=NOW) for _ in range(2))
    assert first != second
    revoked = ApiToken.objects.filter(hash=digest(first))
    assert revoked.revoke(now=NOW) == 1
    assert revoked.revoke(now=NOW + timedelta(days=1)) == 0
    assert revoked.get().revoked_at == NOW
    assert ApiToken.objects.find(first) is None
    assert ApiToken.objects.find(second) is not None


def test_a_token_of_somebody_who_left_is_not_found():
    person = user()
    secret = ApiToken.objects.issue(person, now=NOW)
    person.is_active = False
    person.save(update_fields=["is_active"])
    assert ApiToken.objects.find(secret) is None


def test_the_last_use_is_written_at_most_once_a_minute(django_assert_num_queries):
    secret = ApiToken.objects.issue(user(), now=NOW)
    ApiToken.objects.find(secret).seen(now=NOW)
    with django_assert_num_queries(1):
        ApiToken.objects.find(secret).seen(now=NOW + timedelta(seconds=59))
    assert ApiToken.objects.get().last_used_at == NOW
    ApiToken.objects.find(secret).seen(now=NOW + timedelta(seconds=60))
    assert ApiToken.objects.get().last_used_at == NOW + timedelta(seconds=60)


@pytest.mark.parametrize("secret", ["", "\x00", "x" * 100_000, "wörter", "\udce9"])
def test_a_garbled_token_is_not_found(secret):
    assert ApiToken.objects.find(secret) is None
