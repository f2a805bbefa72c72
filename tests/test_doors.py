"""One rule behind every door: a move that one refuses all refuse, in the same sentence; what moves leaves one row."""

import json
import re
from html import unescape

import pytest
from django.db import transaction
from django.urls import reverse

from apps.crm.models import StageTransition
from apps.crm.models.moving import Refused
from apps.crm.options import refusal
from apps.crm.pipeline import STAGES, Stage
from tests.apis import Api
from tests.factories import NOW, account, snapshot, user, with_facts

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

BECAUSE = {"reason": "because"}


def said(answer):
    return json.loads(answer.headers["HX-Trigger"])["toast"]["text"]


def words(answer):
    return unescape(re.sub(r"<[^>]*>", "", answer.text))


def by_page(client, api, here, to, origin="list"):
    form = {"to": to, "version": here.version, "from": origin, **BECAUSE}
    answer = client.post(reverse("web:move", args=[here.pk]), form)
    return answer.status_code == 200, said(answer)


def by_board(client, api, here, to):
    return by_page(client, api, here, to, "board")


def by_many(client, api, here, to):
    answer = client.post("/daily/many/move/", {"ids": here.pk, "to": to, **BECAUSE})
    return said(answer).startswith("1 account is moved"), said(answer)


def by_admin(client, api, here, to):
    form = {"to": to, "version": here.version, **BECAUSE}
    answer = client.post(reverse("admin:crm_account_move", args=[here.pk]), form)
    return answer.status_code == 302, words(answer)


def by_api(client, api, here, to):
    answer = api.post(f"/accounts/{here.external_id}/move", {"to": to, **BECAUSE})
    return answer.status_code == 200, answer.json().get("detail")


# Each door a person has: it gives whether the account was moved, and what was said.
DOORS = {"list": by_page, "board": by_board, "many": by_many, "admin": by_admin, "api": by_api}
CAUSES = {"many": "list"}


@pytest.fixture
def boss(client):
    person = user("admin")
    client.force_login(person)
    return person


@pytest.mark.parametrize("source", Stage, ids=lambda stage: stage.number)
def test_each_pair_of_stages_has_one_answer_and_one_sentence_through_every_door(client, boss, source):
    here, api = with_facts(source), Api(boss)
    before = snapshot(here)
    wrong = {}
    for target in STAGES:
        if target == source:
            continue
        why = refusal(here, target)
        for name, ask in DOORS.items():
            with transaction.atomic():
                moved, text = ask(client, api, here, target)
                rows = StageTransition.objects.filter(account=here, version__gt=before["version"])
                left = [(row.from_stage, row.to_stage, row.cause, row.by_id) for row in rows]
                wanted = [] if why else [(source, target, CAUSES.get(name, name), boss.pk)]
                if moved == bool(why) or left != wanted or (why and why.rstrip(".") not in text):
                    wrong[target, name] = (moved, text, left, why)
                transaction.set_rollback(True)
    assert wrong == {}
    assert snapshot(here) == before


@pytest.mark.parametrize("source", Stage, ids=lambda stage: stage.number)
def test_a_playbook_is_refused_whatever_a_person_is_refused_and_in_the_rules_words(source):
    here = with_facts(source)
    before = snapshot(here)
    for target in STAGES:
        why = refusal(here, target, automatic=True)
        if target == source:
            continue
        assert why or not refusal(here, target), "no playbook may what no person may"
        if why:
            with pytest.raises(Refused) as refused:
                here.move(target, by=None, now=NOW, cause="playbook:test", reason="because")
            assert refused.value.sentence == why
    assert snapshot(here) == before


def test_what_is_undone_is_one_row_too_through_every_door(client, boss):
    api = Api(boss)
    for name, ask in DOORS.items():
        here = account(Stage.NEW)
        ask(client, api, here, Stage.INITIATED)
        move = here.transitions.first()
        if name == "api":
            api.post(f"/accounts/{here.external_id}/undo", {"version": move.version})
        else:
            form = {"transition": move.pk, "version": move.version}
            client.post(reverse("web:undo", args=[here.pk]), form)
        ledger = [(row.version, row.from_stage, row.to_stage) for row in here.transitions.order_by("version")]
        assert ledger == [(1, "", "new"), (2, "new", "initiated"), (3, "initiated", "new")], name
        assert here.transitions.first().cause == f"undo:{move.pk}"
