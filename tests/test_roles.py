"""Who may what: every address, asked by every role and by nobody, with every method, against the one table."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.db import transaction
from django.test import Client
from django.urls import reverse

from apps.crm.letters import LETTERS
from apps.crm.models.user import ADMIN, LEAD, REVENUE, RIGHTS, ROLES, SPECIALIST, VIEWER
from apps.crm.pipeline import Stage
from apps.web import urls
from apps.web.roles import OPEN, addresses, may, of_the_api
from tests.apis import Api
from tests.factories import account, user

pytestmark = pytest.mark.django_db

ADDRESSES = list(addresses())
# Where who is not let in is sent.
LOGINS = ("/accounts/login/", "/admin/login/")
# What is there for each parameter of a route; an id is that of an account, and of nothing where it means something
# else: who may not is told so before it is looked for.
NAMES = {
    "playbooks/": "final-outreach-due",
    "settings/policy/": "undo_minutes",
    "outbox/gates/": "mail",
    "reports/": "none",
}
# It plays whole days through, which is none of this test's business: it looks for the playbook first.
NAMES["playbooks/<slug:name>/ahead/"] = "none"


def filled(route, here):
    """An address with its parameters filled in."""
    name = next((NAMES[start] for start in sorted(NAMES, reverse=True) if route.startswith(start)), "none")
    values = {"name": name, "stage": "new", "kind": next(iter(LETTERS))}
    return "/" + re.sub(r"<(\w+):(\w+)>", lambda found: values.get(found[2], str(here.pk)), route)


def status(client, method, path):
    """What a request is answered with; nothing of what it did stays."""
    with transaction.atomic():
        answer = client.generic(method, path)
        if answer.streaming:
            list(answer)
        transaction.set_rollback(True)
    return answer.status_code


def signed_in(role):
    client = Client(raise_request_exception=False)
    client.force_login(user(role))
    return client


def expected(right, role):
    return "not there" if not right else "let in" if may(role, right) else "refused"


def told(code):
    return {403: "refused", 405: "not there"}.get(code, "let in" if code < 500 else f"broken: {code}")


@pytest.mark.parametrize("role", ROLES)
def test_every_address_lets_in_whom_the_table_says_with_every_method(role):
    client, here = signed_in(role), account(Stage.NEW)
    wrong = {}
    for address in ADDRESSES:
        path = filled(address.route, here)
        wanted = {
            "GET": expected(address.reads, role),
            "POST": expected(address.changes, role),
            "PUT": "not there",
            "DELETE": "not there",
        }
        found = {method: told(status(client, method, path)) for method in wanted}
        if found != wanted:
            wrong[path] = {method: (found[method], wanted[method]) for method in wanted}
    assert wrong == {}


def test_nobody_comes_in_without_a_login_but_where_it_is_open():
    client, here = Client(raise_request_exception=False), account(Stage.NEW)
    for address in ADDRESSES:
        for method in ("GET", "POST"):
            answer = client.generic(method, filled(address.route, here))
            assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (
                302,
                "/accounts/login/",
            ), address
    for pattern in urls.urlpatterns:
        if pattern.name in OPEN:
            answer = client.get(filled(str(pattern.pattern), here))
            assert "/accounts/login/" not in answer.headers.get("Location", ""), pattern


@pytest.mark.parametrize("role", ROLES)
def test_every_address_of_the_api_lets_in_whom_its_rights_say(role):
    here = account(Stage.NEW)
    api, reader = Api(user(role)), Api(user(role), read_only=True)
    for _, route, rights in of_the_api():
        path = (
            re.sub(r"<path:\w+>", here.external_id, route)
            .replace("<int:pk>", "0")
            .replace("<slug:name>", "none")
            .removeprefix("/api/v1")
        )
        for method in ("GET", "POST", "PUT", "DELETE"):
            wanted = expected(rights.get(method, ""), role)
            assert told(api(method, path).status_code) == wanted, (method, path)
            if wanted == "let in" and method != "GET":
                assert told(reader(method, path).status_code) == "refused", (method, path)


@pytest.mark.parametrize("role", ROLES)
def test_the_admin_is_for_admins(role):
    client = signed_in(role)
    for model in admin.site._registry:
        path = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        # Who is signed in and may not is sent to the login, which says so.
        assert told(client.get(path, follow=True).status_code) == expected("admin", role), path


def of_the_admin(here):
    """Every address of the admin: of the site, and of each model all that its admin has."""
    for pattern in admin.site.urls[0]:
        for one in getattr(pattern, "url_patterns", [pattern]):
            route = f"{pattern.pattern}{one.pattern}" if one is not pattern else str(pattern.pattern)
            if one.name not in ("logout", "catch_all") and not route.startswith("^"):
                yield "/admin/" + re.sub(r"<[^>]+>", str(here.pk), route)


@pytest.mark.parametrize("role", [*(role for role in ROLES if role != ADMIN), "nobody"])
def test_no_address_of_the_admin_lets_in_who_is_no_admin(role):
    client = Client(raise_request_exception=False) if role == "nobody" else signed_in(role)
    let_in, paths = [], [*of_the_admin(account(Stage.NEW))]
    assert len(paths) > 4 * len(admin.site._registry)
    for path in paths:
        for method in ("GET", "POST"):
            answer = client.generic(method, path)
            if answer.status_code != 403 and not answer.headers.get("Location", "").startswith(LOGINS):
                let_in.append((method, path, answer.status_code))
    assert let_in == []


def test_the_rights_are_those_the_team_agreed_on():
    works, leads = {SPECIALIST, LEAD, ADMIN}, {LEAD, ADMIN}
    agreed = {
        **dict.fromkeys(["move", "note", "task", "alert", "call", "edit", "event", "preview import"], works),
        **dict.fromkeys(
            ["import", "policy", "playbooks", "shared views", "templates", "tokens", "erase"], leads
        ),
        "read": {VIEWER, SPECIALIST, REVENUE, LEAD, ADMIN},
        "payment risk": works | {REVENUE},
        "export revenue": leads | {REVENUE},
        "users": {ADMIN},
        "admin": {ADMIN},
    }
    assert {right: RIGHTS[right] for right in agreed} == agreed
    assert all(ADMIN in roles for roles in RIGHTS.values())


def test_somebody_without_a_role_may_nothing():
    person = user()
    person.groups.clear()
    assert [right for right in RIGHTS if type(person).objects.get(pk=person.pk).may(right)] == []
