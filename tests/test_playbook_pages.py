"""The playbooks' pages: what they show, who may steer, and that looking writes nothing."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.pipeline import Stage
from apps.playbooks.docs import markdown
from apps.playbooks.engine import run
from apps.playbooks.models import Act, Run, Switch
from apps.playbooks.registry import PLAYBOOKS
from apps.playbooks.then import MoveWithTask
from apps.web.views import playbooks as pages
from tests.factories import NOW, account, days, in_days, snapshot, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

FINAL = "final-outreach-due"
ADDRESS = f"/playbooks/{FINAL}/"


def as_(client, role):
    person = user(role)
    client.force_login(person)
    return person


def due(**fields):
    return account(Stage.INITIATED, since=NOW - days(30), next_renewal_on=in_days(5), **fields)


def read(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.text


def test_the_list_shows_every_playbook_in_order_with_what_is_due(client):
    as_(client, "viewer")
    due()
    lead = user("lead", first_name="Dan", last_name="Lead")
    Switch.objects.turn("missed-outreach", paused=True, by=lead, now=NOW)
    Switch.objects.ran([FINAL], now=NOW - timedelta(seconds=30))
    page = read(client, "/playbooks/")
    places = [page.index(f">{name}</a>") for name in PLAYBOOKS]
    assert places == sorted(places)
    assert all(playbook.says in page for playbook in PLAYBOOKS.values())
    assert '<td class="number">1</td>' in page
    assert "21 Nov, 08:59" in page
    assert "Paused" in page


def test_a_page_shows_whom_it_would_act_on_its_numbers_and_writes_nothing(client):
    as_(client, "viewer")
    here, held = due(name="Hogs <b>Ltd</b>"), due(name="Held one", held_by="import:1")
    before = snapshot(here), snapshot(held)
    page = read(client, ADDRESS)
    assert "Would act now on 1" in page
    assert "Hogs &lt;b&gt;Ltd&lt;/b&gt;" in page
    assert "Renews 26 Nov, in 5 days" in page
    assert "1 more are held by an import" in page
    assert "Held one" not in page
    assert "Accounts await their final outreach this long before the renewal." in page
    assert "It has acted on nobody yet." in page
    assert (snapshot(here), snapshot(held)) == before
    assert Run.objects.count() + Act.objects.count() + Switch.objects.count() == 0


def test_a_page_shows_the_first_fifty_and_counts_them_all(client):
    as_(client, "viewer")
    for number in range(53):
        due(name=f"Number {number}")
    page = read(client, ADDRESS)
    assert "Would act now on 53" in page
    assert page.count("Renews 26 Nov") == 50
    assert "The first 50 are shown." in page


def test_a_page_shows_every_act_with_its_reason_page_by_page_and_run_by_run(client, monkeypatch):
    monkeypatch.setattr(pages, "SHOWN", 3)
    as_(client, "viewer")
    first = due(name="The first")
    run([FINAL], now=NOW)
    for number in range(4):
        due(name=f"Number {number}")
    run([FINAL], now=NOW + timedelta(minutes=1))
    newest = read(client, ADDRESS)
    assert "The first" not in newest
    assert newest.count("Renews 26 Nov, in 5 days") == 3
    older = read(client, f"{ADDRESS}?before={Act.objects.all()[2].pk}")
    assert "The first" in older
    assert older.count("Renews 26 Nov, in 5 days") == 2
    assert "Older" not in older
    only = read(client, f"{ADDRESS}?run={first.acts.get().run_id}")
    assert ("The first" in only, "Number" in only) == (True, False)


def test_a_page_shows_failures_with_the_account_or_without_it_once_erased(client, monkeypatch):
    as_(client, "viewer")
    bad = due(name="Brokers")

    def broken(self, batch):
        raise ValueError("no such thing")

    monkeypatch.setattr(MoveWithTask, "__call__", broken)
    run([FINAL], now=NOW)
    run([FINAL], now=NOW + timedelta(minutes=1))
    page = read(client, ADDRESS)
    assert f'<a href="/accounts/{bad.pk}/">Brokers</a>: ValueError: no such thing' in page
    assert "2 times in a row" in page
    bad.delete()
    gone = read(client, ADDRESS)
    assert "ValueError: no such thing" in gone
    assert "Brokers" not in gone


@pytest.mark.parametrize(
    "query", ["?run=x", "?before=-1", "?run=99999999999999999999", "?before=%00", "?run=²"]
)
def test_a_broken_query_string_shows_the_page(client, query):
    as_(client, "viewer")
    assert client.get(ADDRESS + query).status_code == 200


def test_an_unknown_playbook_is_not_found(client):
    as_(client, "lead")
    assert client.get("/playbooks/nonsense/").status_code == 404
    for action in ("pause", "resume", "run", "skip"):
        assert client.post(f"/playbooks/nonsense/{action}/").status_code == 404
    assert not Switch.objects.exists()


@pytest.mark.parametrize("action", ["pause", "resume", "run", "skip"])
@pytest.mark.parametrize("role", ["viewer", "specialist", "revenue"])
def test_only_leads_steer(client, role, action):
    as_(client, role)
    here = due()
    before = snapshot(here)
    assert client.post(f"{ADDRESS}{action}/", {"account": here.pk}).status_code == 403
    assert snapshot(here) == before
    assert Switch.objects.count() + Act.objects.count() == 0
    page = read(client, ADDRESS)
    assert not any(word in page for word in ("Pause", "Run now", "Skip until"))


@pytest.mark.parametrize("action", ["pause", "resume", "run", "skip"])
def test_looking_at_an_action_does_nothing(client, action):
    as_(client, "lead")
    assert client.get(f"{ADDRESS}{action}/").status_code == 405


def test_nobody_without_a_login_sees_or_steers(client):
    for address in ("/playbooks/", ADDRESS):
        assert client.get(address).status_code == 302
    assert client.post(f"{ADDRESS}pause/").status_code == 302
    assert not Switch.objects.exists()


def test_a_lead_pauses_and_resumes(client):
    lead = as_(client, "lead")
    here = due()
    client.post(f"{ADDRESS}pause/")
    switch = Switch.objects.get(playbook=FINAL)
    assert (switch.paused, switch.by, switch.at) == (True, lead, NOW)
    page = read(client, ADDRESS)
    assert f"Paused by {lead}, 21 Nov, 09:00" in page
    assert "Run now" not in page
    answer = client.post(f"{ADDRESS}run/", follow=True)
    assert "It is paused, so nothing was done." in answer.text
    assert not here.acts.exists()
    client.post(f"{ADDRESS}resume/")
    switch.refresh_from_db()
    assert (switch.paused, switch.by) == (False, lead)


def test_a_lead_runs_it_now_on_those_that_no_import_holds(client):
    lead = as_(client, "lead")
    here, held = due(), due(held_by="import:1")
    before = snapshot(held)
    answer = client.post(f"{ADDRESS}run/", follow=True)
    assert "Acted on 1." in answer.text
    assert f"<td>{lead}</td>" in answer.text
    here.refresh_from_db()
    assert (here.stage, here.transitions.first().by) == (Stage.AWAITING_FINAL_OUTREACH, None)
    assert here.acts.get().run.by == lead
    assert snapshot(held) == before


def test_a_lead_skips_an_account_until_its_next_renewal(client):
    lead = as_(client, "lead")
    here = due(name="Hogs")
    answer = client.post(f"{ADDRESS}skip/", {"account": here.pk}, follow=True)
    assert "Hogs is left alone until its next renewal." in answer.text
    assert "Would act now on 0" in answer.text
    assert "Left alone until their next renewal" in answer.text
    assert str(lead) in answer.text
    again = client.post(f"{ADDRESS}skip/", {"account": here.pk}, follow=True)
    assert "Hogs is settled for this renewal already." in again.text
    assert Act.objects.count() == 1


@pytest.mark.parametrize("given", ["", "x", "-1", "²", "99999999999999999999", "999999"])
def test_a_skip_of_no_account_is_not_found(client, given):
    as_(client, "lead")
    assert client.post(f"{ADDRESS}skip/", {"account": given}).status_code == 404
    assert not Act.objects.exists()


@pytest.mark.parametrize("address", ["/playbooks/", ADDRESS])
def test_a_page_asks_as_many_queries_for_forty_accounts_as_for_one(client, address):
    as_(client, "lead")

    def queries(number, now):
        for _ in range(number):
            due()
        run([FINAL], now=now)
        for _ in range(number):
            due()
        with CaptureQueriesContext(connection) as captured:
            read(client, address)
        return len(captured)

    assert queries(1, NOW) == queries(40, NOW + timedelta(minutes=1)) <= 10 + len(PLAYBOOKS)


def test_the_document_tells_every_playbook_and_its_numbers():
    page = markdown()
    for playbook in PLAYBOOKS.values():
        assert f"## {playbook.name}\n\n{playbook.says}" in page
        assert all(f"| `{name}` |" in page for name in playbook.numbers)
