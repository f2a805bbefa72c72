"""Steering the playbooks: failures to try again, runs that take long, skips and their taking back, looking ahead."""

import json
from datetime import timedelta

import pytest

from apps.crm.models import Account
from apps.crm.pipeline import Stage
from apps.playbooks import simulate
from apps.playbooks.engine import named, run, skip
from apps.playbooks.models import Act, Run, Switch
from apps.playbooks.then import MoveWithTask
from apps.web.views import playbooks as pages
from apps.web.views import steering
from tests.factories import NOW, account, days, in_days, snapshot, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]

FINAL, MISSED = "final-outreach-due", "missed-outreach"
ADDRESS = f"/playbooks/{FINAL}/"


@pytest.fixture
def lead(client):
    person = user("lead")
    client.force_login(person)
    return person


def due(**fields):
    return account(Stage.INITIATED, since=NOW - days(30), next_renewal_on=in_days(5), **fields)


def read(client, address, **values):
    answer = client.post(address, values, follow=True) if values else client.get(address)
    assert answer.status_code == 200
    return answer.text


@pytest.fixture
def failing(monkeypatch):
    """Have the final outreach fail on accounts of this name, until told otherwise."""
    bad = {"Brokers"}
    real = MoveWithTask.__call__

    def broken(self, batch):
        if bad & {row.name for row in batch.rows}:
            raise ValueError("no such thing")
        return real(self, batch)

    monkeypatch.setattr(MoveWithTask, "__call__", broken)
    return bad


def test_an_account_it_failed_on_is_shown_with_its_tries_until_it_is_done(client, lead, failing):
    bad, good = due(name="Brokers"), due(name="Hogs")
    for minute in range(3):
        run([FINAL], now=NOW + timedelta(minutes=minute))
    page = read(client, ADDRESS)
    assert "Failed on 1" in page
    assert f'<a href="/accounts/{bad.pk}/">Brokers</a>' in page
    assert '<td class="number">3</td>' in page
    assert "Try Brokers again now" in page
    before = snapshot(bad)
    again = read(client, f"{ADDRESS}retry/", account=bad.pk)
    assert "It failed again on Brokers. Nothing was changed." in again
    assert '<td class="number">4</td>' in again
    assert snapshot(bad) == before
    failing.clear()
    done = read(client, f"{ADDRESS}retry/", account=bad.pk)
    assert "Acted on Brokers: Renews 26 Nov, in 5 days." in done
    assert "Failed on" not in done
    assert bad.acts.get().run.by == lead
    assert good.acts.count() == 1
    assert "Brokers is not due any more." in read(client, f"{ADDRESS}retry/", account=bad.pk)
    assert bad.acts.count() == 1


def test_trying_again_touches_no_other_account_and_nothing_of_a_paused_playbook(client, lead):
    here, other = due(), due()
    Switch.objects.turn(FINAL, paused=True, by=lead, now=NOW)
    assert "It is paused, so nothing was done." in read(client, f"{ADDRESS}retry/", account=here.pk)
    assert not Act.objects.exists()
    Switch.objects.turn(FINAL, paused=False, by=lead, now=NOW)
    before = snapshot(other)
    read(client, f"{ADDRESS}retry/", account=here.pk)
    assert snapshot(other) == before
    assert Act.objects.get().account == here


def test_a_run_is_asked_for_with_its_number_first(client, lead):
    due(), due()
    page = read(client, ADDRESS)
    assert f"Run {FINAL} now?" in page
    assert "On 2 accounts it moves the account to" in page
    assert "Run on 2</button>" in page
    assert "Run on" not in read(client, f"/playbooks/{MISSED}/")
    assert not Act.objects.exists()


def test_a_run_that_takes_long_is_left_to_the_clock_and_its_progress_shown(client, lead, monkeypatch):
    for _ in range(4):
        due()
    asked = iter([False])
    monkeypatch.setattr(steering, "after", lambda seconds: lambda: next(asked, True))
    monkeypatch.setattr("apps.playbooks.engine.SLICE", 3)
    answer = client.post(f"{ADDRESS}run/", follow=True)
    assert answer.redirect_chain == [(f"{ADDRESS}?of=4", 302)]
    assert "Acted on 3. The clock goes on with the 1 that are left." in answer.text
    assert '<progress id="bar" max="4" value="3">' in answer.text
    assert 'value="3"' in read(client, f"{ADDRESS}progress/?of=4")
    run([FINAL], now=NOW + timedelta(minutes=1))
    done = client.get(f"{ADDRESS}progress/?of=4")
    assert (done.text, done.headers["HX-Redirect"]) == ("", ADDRESS)
    assert "<progress" not in read(client, f"{ADDRESS}?of=4")
    assert Act.objects.count() == 4


def test_the_progress_does_not_wait_for_accounts_that_fail(client, lead, failing):
    due(name="Brokers"), due()
    run([FINAL], now=NOW)
    assert client.get(f"{ADDRESS}progress/?of=2").headers["HX-Redirect"] == ADDRESS


@pytest.mark.parametrize("query", ["", "?of=0", "?of=x", "?of=-1", "?of=99999999999999999999"])
def test_a_progress_of_nothing_is_over(client, lead, query):
    due()
    assert client.get(f"{ADDRESS}progress/{query}").headers["HX-Redirect"] == ADDRESS
    assert "<progress" not in read(client, f"{ADDRESS}{query}")


def test_the_page_says_who_resumed_it(client, lead):
    Switch.objects.turn(FINAL, paused=True, by=lead, now=NOW)
    Switch.objects.turn(FINAL, paused=False, by=lead, now=NOW)
    assert f"Resumed by {lead}, 21 Nov, 09:00." in read(client, ADDRESS)


def test_a_skip_can_be_taken_back_on_the_playbooks_page(client, lead):
    here = due(name="Hogs")
    read(client, f"{ADDRESS}skip/", account=here.pk)
    page = read(client, f"{ADDRESS}unskip/", account=here.pk)
    assert f"Hogs is no longer left alone by {FINAL}." in page
    assert "Would act now on 1" in page
    assert not Act.objects.exists()
    assert f"Hogs was not left alone by {FINAL}." in read(client, f"{ADDRESS}unskip/", account=here.pk)


def test_only_a_skip_that_stands_can_be_taken_back(client, lead):
    done, passed = due(name="Done"), due(name="Passed")
    skip(named(FINAL), passed, by=lead, now=NOW)
    run([FINAL], now=NOW)
    Account.objects.filter(pk=passed.pk).update(next_renewal_on=in_days(40))
    for one in (done, passed):
        assert "was not left alone" in read(client, f"{ADDRESS}unskip/", account=one.pk)
    assert Act.objects.count() == 2
    assert "Left alone until their next renewal" not in read(client, ADDRESS)


def test_a_lead_has_a_playbook_leave_an_account_alone_from_its_own_page_and_takes_it_back(client, lead):
    here = due(name="Hogs")
    page = f"/accounts/{here.pk}/"
    assert "Have one leave it alone" in read(client, page)
    answer = client.post(f"{page}skip/", {"playbook": FINAL, "from": "account"})
    assert answer.status_code == 200
    assert "Hogs is left alone until its next renewal." in answer.headers["HX-Trigger"]
    assert f"/accounts/{here.pk}/unskip/" in answer.headers["HX-Trigger"]
    assert f'{FINAL}</a> <span class="soft">leave the account alone until its next renewal' in answer.text
    assert f"Take back: {FINAL} leaves it alone" in answer.text
    assert run([FINAL], now=NOW)[0].acted == 0
    again = client.post(f"{page}skip/", {"playbook": FINAL, "from": "account"})
    assert "is settled for this renewal already" in again.headers["HX-Trigger"]
    assert '"undo": null' in again.headers["HX-Trigger"]
    back = client.post(f"{page}unskip/", {"playbook": FINAL, "from": "account"})
    assert f"Hogs is no longer left alone by {FINAL}." in back.headers["HX-Trigger"]
    assert not Act.objects.exists()
    undo = json.loads(back.headers["HX-Trigger"])["toast"]["undo"]
    client.post(undo["url"], undo["values"])
    assert run([FINAL], now=NOW)[0].acted == 0
    client.post(f"{page}unskip/", {"playbook": FINAL, "from": "account"})
    assert run([FINAL], now=NOW)[0].acted == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [("", "Say which playbook."), ("nonsense", "There is no playbook \u201cnonsense\u201d.")],
)
@pytest.mark.parametrize("action", ["skip", "unskip"])
def test_an_unknown_playbook_is_refused_in_a_sentence(client, lead, action, given, words):
    here = due()
    answer = client.post(f"/accounts/{here.pk}/{action}/", {"playbook": given})
    assert answer.status_code == 422
    assert words in answer.text
    assert not Act.objects.exists()


@pytest.mark.parametrize("role", ["viewer", "specialist", "revenue"])
def test_only_leads_leave_accounts_alone_or_try_again(client, role):
    here = due()
    skip(named(FINAL), here, by=user("lead"), now=NOW)
    client.force_login(user(role))
    for address in (f"/accounts/{here.pk}/skip/", f"/accounts/{here.pk}/unskip/"):
        assert client.post(address, {"playbook": FINAL}).status_code == 403
    for action in ("retry", "unskip"):
        assert client.post(f"{ADDRESS}{action}/", {"account": here.pk}).status_code == 403
    assert Act.objects.get().skipped
    page = read(client, f"/accounts/{here.pk}/")
    assert "Playbooks that leave it alone" in page
    assert "Take back" not in page
    assert "Have one leave it alone" not in page


def test_the_timeline_tells_what_the_playbooks_did_and_why(client, lead):
    moved, alerted = due(), account(Stage.NEW, since=NOW - days(30))
    run([FINAL, MISSED], now=NOW)
    page = read(client, f"/accounts/{alerted.pk}/?kind=playbooks")
    assert f'The playbook acted: <a href="/playbooks/{MISSED}/">{MISSED}</a>' in page
    assert named(MISSED).says in page
    assert "Not written to yet; entered 22 Oct, 30 days ago" in page
    asked = read(client, f"/accounts/{moved.pk}/?kind=playbooks")
    assert f'The playbook acted: <a href="/playbooks/{FINAL}/">{FINAL}</a>' in asked
    among_all = read(client, f"/accounts/{moved.pk}/")
    assert "The playbook acted" not in among_all
    assert f"The playbook {FINAL} moved it to" in among_all
    assert "Renews 26 Nov, in 5 days" in among_all


@pytest.mark.django_db(transaction=True)
def test_the_next_days_are_a_part_of_the_page_that_everybody_reads(client):
    client.force_login(user("viewer"))
    due(name="Hogs <b>Ltd</b>")
    account(Stage.INITIATED, since=NOW - days(30), next_renewal_on=in_days(13), name="Later")
    assert f'hx-get="{ADDRESS}ahead/" hx-trigger="load"' in read(client, ADDRESS)
    part = read(client, f"{ADDRESS}ahead/")
    assert "Hogs &lt;b&gt;Ltd&lt;/b&gt;" in part
    assert part.index("Sat 21 Nov") < part.index("Tue 24 Nov")
    assert "Renews 4 Dec, in 10 days" in part
    assert "2 in 30 days." in part
    assert Run.objects.count() + Act.objects.count() + Switch.objects.count() == 0
    none = read(client, f"/playbooks/{MISSED}/ahead/")
    assert "It would act on nobody." in none
    # Without a script it is a page by itself.
    alone = client.get(f"/playbooks/{MISSED}/ahead/", headers={"HX-Request": "true"}).text
    assert ("<main" in none, "<main" in alone, "It would act on nobody." in alone) == (True, False, True)


@pytest.mark.django_db(transaction=True)
def test_what_could_not_be_reached_in_time_is_said(client, lead, monkeypatch):
    due()
    asked = iter([False] * 10)
    monkeypatch.setattr(pages, "after", lambda seconds: lambda: next(asked, True))
    part = read(client, f"{ADDRESS}ahead/")
    assert "seconds reach: the days after" in part


@pytest.mark.django_db(transaction=True)
def test_whoever_comes_second_is_asked_to_wait(client, lead, monkeypatch):
    def busy(*args, **options):
        raise simulate.Busy

    monkeypatch.setattr(simulate, "ahead", busy)
    part = read(client, f"{ADDRESS}ahead/")
    assert "A colleague is looking ahead; yours comes next." in part
    assert 'hx-trigger="load delay:2s"' in part


def test_an_unknown_playbook_has_no_days_and_no_progress(client, lead):
    for part in ("ahead", "progress"):
        assert client.get(f"/playbooks/nonsense/{part}/").status_code == 404
