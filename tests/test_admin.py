"""Django's admin: facts are mended, history is read, a stage is only moved."""

import re
from html import unescape

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.crm.models import Account, Alert, Bill, Label, Note, Policy, StageTransition, Task, User
from apps.crm.options import refusal
from apps.crm.pipeline import Stage
from apps.intake.models import ApiToken, Import
from apps.playbooks.models import Act, Run, Switch
from tests.factories import NOW, TODAY, account, in_days, snapshot, user, with_facts
from tests.test_api_moves import telling_facts
from tests.test_pipeline import expected

S = Stage
pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(client):
    person = user("admin", first_name="Grace")
    client.force_login(person)
    return person


def move_address(of):
    return reverse("admin:crm_account_move", args=[of.pk])


def change_address(of):
    return reverse(f"admin:{of._meta.label_lower.replace('.', '_')}_change", args=[of.pk])


def words(answer):
    return unescape(re.sub(r"<[^>]*>", "", answer.content.decode()))


def one_of_each(person):
    """A row of every kind, so that each list and each page has something to show."""
    here = account(S.NEW, owner=person)
    here.labels.add(Label.objects.create(name=f"label {here.pk}"))
    here.contacts.create(email="eve@acme.example")
    here.add_note("Hello", by=person, now=NOW)
    here.add_task("Call", TODAY, by=person, now=NOW, assignee=person)
    here.alerts.create(kind="missed-outreach", text="Late", raised_at=NOW, assignee=person)
    here.bills.create(external_id=f"in_{here.pk}", status="open", amount=5, reported_at=NOW)
    here.calls.create(external_id=f"call {here.pk}", starts_at=NOW, ends_at=NOW).hosts.add(person)
    here.decisions.create(at=NOW, on=TODAY, row=12, outcome="watch", because="Nothing else held.", facts={})
    Policy.objects.create(name="undo_minutes", value="20", starts_on=in_days(here.pk), set_by=person)
    ApiToken.objects.issue(person, now=NOW)
    Import.objects.create(file_name="accounts.csv", file=b"", by=person, created_at=NOW)
    run = Run.objects.create(playbook="missed-outreach", started_at=NOW, by=person)
    run.acts.create(playbook="missed-outreach", account=here, occasion=f"entry:{here.pk}", at=NOW)
    Switch.objects.create(playbook=f"playbook-{here.pk}", by=person)
    return here


def ours():
    return [
        model for model in admin.site._registry if model._meta.app_label in ("crm", "intake", "playbooks")
    ]


# Who comes in


@pytest.mark.parametrize("role", ["viewer", "specialist", "revenue", "lead"])
def test_only_an_admin_comes_in(client, role):
    client.force_login(user(role, is_staff=True))
    here = account(S.NEW)
    before = snapshot(here)
    for address in ("/admin/", "/admin/crm/account/", change_address(here), move_address(here)):
        answer = client.get(address, follow=True)
        assert answer.status_code == 403
    client.post(move_address(here), {"to": "initiated", "version": 1})
    assert snapshot(here) == before


def test_nobody_comes_in_without_a_login(client):
    here = account(S.NEW)
    for address in ("/admin/", "/admin/login/", move_address(here)):
        assert (
            client.get(address, follow=True).redirect_chain[-1][0].startswith("/accounts/login/?next=/admin/")
        )


def test_an_admin_by_role_alone_sees_every_model(client, boss):
    assert (boss.is_staff, boss.is_superuser) == (False, False)
    page = words(client.get("/admin/"))
    for model in ours():
        assert str(model._meta.verbose_name_plural).lower() in page.lower()
    assert client.get("/admin/login/").status_code == 403


# Every page


def test_every_list_and_page_opens_under_the_strict_policy(client, boss):
    one_of_each(boss)
    for model, registered in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        addresses = [reverse(f"{name}_changelist"), reverse(f"{name}_changelist") + "?q=acme%20x"]
        addresses += [reverse(f"{name}_change", args=[row.pk]) for row in model._default_manager.all()[:1]]
        request = type("Request", (), {"user": boss})
        addresses += [reverse(f"{name}_add")] if registered.has_add_permission(request) else []
        for address in addresses:
            answer = client.get(address)
            assert answer.status_code == 200, address
            html = answer.content.decode()
            assert "'unsafe-inline'" not in answer.headers["Content-Security-Policy"]
            assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")[^>]*>", html), (
                address
            )
            assert not re.search(r"<style(?![^>]*nonce=)|\sstyle=|\son[a-z]+=\"", html), address


def test_every_list_of_ours_has_search_and_a_bounded_number_of_queries(client, boss):
    def queries():
        found = {}
        for model in ours():
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            with CaptureQueriesContext(connection) as captured:
                assert client.get(address).status_code == 200
            found[model.__name__] = len(captured)
        return found

    one_of_each(boss)
    few = queries()
    for _ in range(8):
        one_of_each(user("specialist"))
    assert queries() == few
    assert max(few.values()) < 15
    assert all(admin.site._registry[model].search_fields for model in ours())


def test_the_page_of_an_account_asks_no_more_with_a_longer_history(client, boss):
    here = account(S.INITIATED)
    client.get(change_address(here))
    with CaptureQueriesContext(connection) as few:
        client.get(change_address(here))
    for target in (S.ENGAGED_EMAIL, S.CALL_BOOKED, S.INTRO_CALL_COMPLETED):
        here.move(target, by=user(), now=NOW, cause="board")
    with CaptureQueriesContext(connection) as many:
        client.get(change_address(here))
    assert len(many) == len(few)


# Moves


@pytest.mark.parametrize("source", Stage, ids=lambda stage: stage.number)
def test_every_pair_is_permitted_or_refused_from_the_admin_as_the_table_says(client, boss, source):
    for facts in telling_facts(source):
        here = with_facts(source, **facts)
        before = snapshot(here)
        page = client.get(move_address(here)).content.decode()
        offered = set(re.findall(r'name="to" value="([a-z_]*)"', page))
        assert offered == {
            stage.value
            for stage in Stage
            if stage != source and expected(source, stage, facts, automatic=False)
        }
        for target in Stage:
            if target == source:
                continue
            with transaction.atomic():
                form = {"to": target.value, "reason": "because", "version": before["version"]}
                answer = client.post(move_address(here), form)
                if expected(source, target, facts, automatic=False):
                    assert (answer.status_code, answer.headers["Location"]) == (302, change_address(here))
                    row = StageTransition.objects.filter(account=here).latest("version")
                    assert (row.from_stage, row.to_stage, row.version) == (
                        source,
                        target,
                        before["version"] + 1,
                    )
                    assert (row.cause, row.by, row.reason) == ("admin", boss, "because")
                else:
                    assert answer.status_code == 409
                    assert refusal(here, target) in words(answer)
                    assert snapshot(here) == before
                transaction.set_rollback(True)
        assert snapshot(here) == before


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"to": "churned", "version": 1}, "needs a reason"),
        ({"to": "initiated", "version": 0}, "first."),
        ({"to": "initiated"}, "This field is required."),
        ({"to": "somewhere", "version": 1}, "not one of the available choices"),
        ({"to": "new\0", "version": 1}, "not one of the available choices"),
        ({"version": 1}, "Choose a stage."),
        ({"to": "churned", "reason": "x" * 2001, "version": 1}, "at most 2000 characters"),
    ],
)
def test_a_move_that_cannot_be_made_says_why_and_changes_nothing(client, boss, form, says):
    here = account(S.NEW)
    before = snapshot(here)
    answer = client.post(move_address(here), form)
    assert answer.status_code == 409
    assert says in words(answer)
    assert snapshot(here) == before


def test_a_forged_move_by_somebody_who_may_not_move_changes_nothing(client, boss, monkeypatch):
    here = account(S.NEW)
    before = snapshot(here)
    may = User.may
    monkeypatch.setattr(User, "may", lambda person, right: right != "move" and may(person, right))
    assert client.post(move_address(here), {"to": "initiated", "version": 1}).status_code == 403
    assert snapshot(here) == before


def test_a_move_of_an_account_that_is_gone_is_a_404(client, boss):
    assert client.post("/admin/crm/account/999999/move/", {"to": "new", "version": 0}).status_code == 404


def test_the_form_of_facts_moves_nobody_and_forges_no_history(client, boss):
    here = account(S.NEW, name="Acme")
    ledger = list(StageTransition.objects.values())
    posted = account_form(
        client, here, name="Acme Ltd", stage="churned", version="7", engaged_at="2026-01-01"
    )
    assert client.post(change_address(here), posted).status_code == 302
    after = Account.objects.get(pk=here.pk)
    assert (after.name, after.stage, after.version, after.engaged_at) == ("Acme Ltd", S.NEW, 1, None)
    assert list(StageTransition.objects.values()) == ledger


# Facts


def account_form(client, of, **changed):
    """The change page of an account as a browser sends it back, with some fields typed over."""
    page = client.get(change_address(of)).context
    formsets = [inline.formset for inline in page["inline_admin_formsets"]]
    posted = {}
    for form in (page["adminform"].form, *(formset.management_form for formset in formsets)):
        for field in form:
            split = getattr(field.field.widget, "decompress", None)
            parts = enumerate(split(field.value())) if split else ()
            posted |= {f"{field.html_name}_{at}": part for at, part in parts} or {
                field.html_name: field.value()
            }
    return {
        name: value for name, value in (posted | changed).items() if value is not None and value is not False
    }


def test_facts_are_mended_and_the_edit_is_noted(client, boss):
    here = account(S.NEW, name="Acme", mrr=5)
    contact = {
        "contacts-TOTAL_FORMS": "1",
        "contacts-0-email": "eve@acme.example",
        "contacts-0-account": here.pk,
    }
    posted = account_form(client, here, name="Acme Ltd", plan="yc", **contact)
    assert client.post(change_address(here), posted).status_code == 302
    after = Account.objects.get(pk=here.pk)
    assert (after.name, after.plan, after.mrr, after.next_renewal_on) == (
        "Acme Ltd",
        "yc",
        5,
        here.next_renewal_on,
    )
    assert after.changed_at > here.changed_at
    assert after.contacts.get().email == "eve@acme.example"


def test_an_edit_that_started_before_a_colleagues_is_given_back_and_overwrites_nothing(client, boss):
    here = account(S.NEW, name="Acme")
    posted = account_form(client, here, name="Mine")
    Account.objects.get(pk=here.pk).edit(now=NOW, name="Theirs")
    answer = client.post(change_address(here), posted)
    assert "Somebody else has edited this account meanwhile" in words(answer)
    assert answer.context["adminform"].form["name"].value() == "Mine"
    assert Account.objects.get(pk=here.pk).name == "Theirs"


def test_a_move_made_meanwhile_does_not_stand_in_the_way_of_an_edit(client, boss):
    here = account(S.NEW, name="Acme")
    posted = account_form(client, here, name="Acme Ltd")
    Account.objects.get(pk=here.pk).move(S.INITIATED, by=boss, now=NOW, cause="board")
    assert client.post(change_address(here), posted).status_code == 302
    after = Account.objects.get(pk=here.pk)
    assert (after.name, after.stage, after.version) == ("Acme Ltd", S.INITIATED, 2)


def test_the_counts_of_an_account_follow_what_is_entered_and_taken_back(client, boss):
    here = account(S.NEW)
    client.post("/admin/crm/note/add/", {"account": here.pk, "kind": "note", "text": "Hello"})
    task = {"account": here.pk, "title": "Call", "due_on": "2026-12-01", "assignee": boss.pk}
    client.post("/admin/crm/task/add/", task)
    bill = {"account": here.pk, "external_id": "in_1", "amount": "5", "currency": "USD", "status": "paid"}
    bill |= {"attempts": "0", "reported_at_0": "2026-11-21", "reported_at_1": "09:00:00"}
    client.post("/admin/crm/bill/add/", bill)
    here.refresh_from_db()
    assert (here.notes_count, here.next_task_on.isoformat(), here.bills_held) == (1, "2026-12-01", 1)
    assert Note.objects.get().author == Task.objects.get().created_by == boss
    made = Task.objects.get()
    client.post(change_address(made), task | {"due_on": "2026-12-09", "account": account().pk})
    client.post(
        "/admin/crm/bill/",
        {"action": "delete_selected", "_selected_action": Bill.objects.get().pk, "post": "yes"},
    )
    here.refresh_from_db()
    made.refresh_from_db()
    assert (made.account, here.next_task_on.isoformat(), here.bills_held) == (here, "2026-12-09", 0)


def test_a_note_keeps_its_author_and_time_when_its_words_are_mended(client, boss):
    here, ada = account(S.NEW), user()
    note = here.add_note("Helo", by=ada, now=NOW)
    forged = {
        "kind": "note",
        "text": "Hello",
        "author": boss.pk,
        "created_at_0": "2020-01-01",
        "account": account().pk,
    }
    assert client.post(change_address(note), forged).status_code == 302
    note.refresh_from_db()
    assert (note.text, note.author, note.created_at, note.account) == ("Hello", ada, NOW, here)
    assert note.edited_at > NOW


def test_alerts_are_resolved_tasks_ticked_off_and_tokens_revoked_by_the_actions(client, boss):
    here = one_of_each(user())
    for model, action in [("crm/alert", "resolve"), ("crm/task", "finish"), ("intake/apitoken", "revoke")]:
        rows = {"crm/alert": Alert, "crm/task": Task, "intake/apitoken": ApiToken}[model].objects
        client.post(
            f"/admin/{model}/", {"action": action, "_selected_action": [row.pk for row in rows.all()]}
        )
    assert Alert.objects.get().resolved_by == boss
    assert Task.objects.get().done_by == boss
    assert ApiToken.objects.get().revoked_at
    here.refresh_from_db()
    assert (here.open_alerts, here.next_task_on) == (0, None)


# History


READ_ONLY = [
    *("crm/stagetransition", "crm/scopedecision", "intake/idempotentanswer", "intake/import", "auth/group"),
    *("playbooks/run", "playbooks/act", "playbooks/switch"),
]


@pytest.mark.parametrize("model", READ_ONLY)
def test_history_is_neither_added_to_nor_changed_nor_deleted(client, boss, model):
    one_of_each(boss)
    rows = apps_model(model).objects
    ApiToken.objects.get().answers.create(key="k", asked="x", status=200, answer="{}", created_at=NOW)
    pk, before = rows.first().pk, list(rows.values())
    assert client.get(f"/admin/{model}/{pk}/change/").status_code == 200
    for address in (f"/admin/{model}/add/", f"/admin/{model}/{pk}/change/", f"/admin/{model}/{pk}/delete/"):
        assert client.post(address, {"post": "yes", "reason": "forged", "name": "forged"}).status_code == 403
    client.post(f"/admin/{model}/", {"action": "delete_selected", "_selected_action": pk, "post": "yes"})
    assert list(rows.values()) == before


def apps_model(name):
    return next(m for m in admin.site._registry if f"{m._meta.app_label}/{m._meta.model_name}" == name)


@pytest.mark.parametrize("model", ["crm/user", "crm/note", "crm/task", "crm/alert", "crm/call", "crm/policy"])
def test_people_and_what_they_did_are_not_deleted(client, boss, model):
    one_of_each(boss)
    rows = apps_model(model).objects
    pk, before = rows.first().pk, rows.count()
    assert client.post(f"/admin/{model}/{pk}/delete/", {"post": "yes"}).status_code == 403
    client.post(f"/admin/{model}/", {"action": "delete_selected", "_selected_action": pk, "post": "yes"})
    assert rows.count() == before


def test_an_account_is_erased_with_everything_that_hangs_on_it(client, boss):
    here = one_of_each(boss)
    here.move(S.INITIATED, by=boss, now=NOW, cause="board")
    address = reverse("admin:crm_account_delete", args=[here.pk])
    assert client.get(address).status_code == 200
    assert client.post(address, {"post": "yes"}).status_code == 302
    assert not Account.objects.exists()
    assert not StageTransition.objects.exists()
    assert not Note.objects.exists()
    assert not Act.objects.exists()


def test_an_account_is_not_erased_by_who_may_not(client, boss, monkeypatch):
    here = account(S.NEW)
    may = User.may
    monkeypatch.setattr(User, "may", lambda person, right: right != "erase" and may(person, right))
    address = reverse("admin:crm_account_delete", args=[here.pk])
    assert client.post(address, {"post": "yes"}).status_code == 403
    assert Account.objects.filter(pk=here.pk).exists()


def test_policy_is_changed_by_a_row_of_its_own_that_says_whose(client, boss):
    client.post("/admin/crm/policy/add/", {"name": "undo_minutes", "value": "20", "starts_on": "2026-12-01"})
    row = Policy.objects.get()
    assert (row.value, row.set_by) == ("20", boss)
    assert client.post(change_address(row), {"name": "undo_minutes", "value": "9"}).status_code == 403
    bad = client.post(
        "/admin/crm/policy/add/", {"name": "undo_minutes", "value": "ten", "starts_on": "2026-12-02"}
    )
    assert "is not a whole number of minutes" in words(bad)
    assert Policy.objects.count() == 1


def test_a_colleague_is_entered_given_a_role_and_deactivated(client, boss):
    new = {"username": "ada", "password1": "a-long-passphrase", "password2": "a-long-passphrase"}
    assert client.post("/admin/crm/user/add/", new | {"usable_password": "true"}).status_code == 302
    ada = User.objects.get(username="ada")
    posted = {"username": "ada", "time_zone": "UTC", "groups": [Group.objects.get(name="lead").pk]}
    posted |= {"is_superuser": "on", "is_staff": "on"}
    assert client.post(change_address(ada), posted | {"is_active": "on"}).status_code == 302
    ada = User.objects.get(username="ada")
    assert (ada.roles, ada.is_active, ada.is_superuser) == ({"lead"}, True, False)
    assert client.post(change_address(ada), posted).status_code == 302
    assert User.objects.get(username="ada").is_active is False
