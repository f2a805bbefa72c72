"""What a person is shown where a page cannot be: in the dress of the product, with what to do."""

import pytest
from django.test import Client

from apps.crm.policy import Policy
from tests.factories import user

pytestmark = pytest.mark.django_db
HOME = '<a class="button" href="/">Open the daily list</a>'


def signed_in(role, **options):
    client = Client(raise_request_exception=False, **options)
    client.force_login(user(role))
    return client


def test_an_address_without_a_page_says_so():
    answer = signed_in("viewer").get("/nowhere/")
    assert (answer.status_code, "This page is not here" in answer.text, HOME in answer.text) == (
        404,
        True,
        True,
    )


def test_a_page_beyond_ones_rights_says_who_gives_them():
    answer = signed_in("viewer").get("/settings/team/new/")
    assert (answer.status_code, "an admin" in answer.text, HOME in answer.text) == (403, True, True)


def test_a_form_of_an_older_login_says_that_nothing_was_changed():
    answer = signed_in("lead", enforce_csrf_checks=True).post("/daily/looked/")
    assert (answer.status_code, "Nothing was changed" in answer.text, HOME in answer.text) == (
        403,
        True,
        True,
    )


def test_a_fault_of_the_server_says_what_stays(monkeypatch):
    client = signed_in("lead")
    monkeypatch.setattr(Policy, "at", lambda *args, **kwargs: 1 / 0)
    answer = client.get("/")
    assert (answer.status_code, "Nothing was changed" in answer.text, HOME in answer.text) == (
        500,
        True,
        True,
    )
