"""The playbooks from the command line: what it prints, and what it refuses in a sentence."""

import json

import pytest
import time_machine
from django.core.management import CommandError, call_command

from apps.playbooks.models import Switch
from apps.playbooks.registry import PLAYBOOKS
from tests import renewing
from tests.factories import NOW, snapshot, user
from tests.renewing import FINAL, MISSED, here

failing = renewing.failing

pytestmark = pytest.mark.django_db


def said(capsys, *args, **options):
    call_command("playbooks", *args, **options)
    return capsys.readouterr()


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.mark.usefixtures("clock")
def test_the_command_prints_a_line_for_each_account_it_acts_on(capsys):
    of = here(external_id="org-1", name="Hogs\tLtd", held_by="import:1")
    line = "final-outreach-due\torg-1\tHogs Ltd\tRenews 2026-11-26, in 5 days\n"
    assert said(capsys, "due", FINAL).out == line
    assert said(capsys, "run", dry_run=True).out == line
    assert not of.acts.exists()
    assert said(capsys, "run").out == line
    assert said(capsys, "run").out == said(capsys, "due", FINAL).out == ""
    assert of.acts.count() == 1


@pytest.mark.usefixtures("clock")
def test_the_command_prints_one_json_array(capsys):
    here(external_id="org-1", name="Hogs"), here(external_id="org-2", renews=6)
    assert json.loads(said(capsys, "due", MISSED, json=True).out) == []
    printed = json.loads(said(capsys, "run", FINAL, json=True).out)
    assert printed[0] == {
        "playbook": FINAL,
        "external_id": "org-1",
        "name": "Hogs",
        "because": "Renews 2026-11-26, in 5 days",
    }
    assert len(printed) == 2
    assert [one["playbook"] for one in json.loads(said(capsys, "list", json=True).out)] == [*PLAYBOOKS]


@pytest.mark.usefixtures("clock")
def test_the_command_lists_the_playbooks_and_says_what_was_passed_over(capsys):
    Switch.objects.turn(FINAL, paused=True, by=user("lead"), now=NOW)
    assert said(capsys, "run").err == "final-outreach-due is paused and was passed over.\n"
    listed = said(capsys).out.splitlines()
    assert [line.split("\t")[0] for line in listed] == [*PLAYBOOKS]
    first, second = listed[2:4]
    assert first.startswith("final-outreach-due\tpaused\tnot run yet\t")
    assert second.startswith("missed-outreach\ton\t2026-11-21 09:00:00 UTC\t")


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("args", "options", "words"),
    [
        (
            ["run", "nonsense"],
            {},
            "There is no playbook “nonsense”. There are: enter-pipeline, sales-lead, final",
        ),
        (["due"], {}, "`due` takes the name of one playbook."),
        (["due", FINAL, MISSED], {}, "`due` takes the name of one playbook."),
        (["walk"], {}, "“walk” is none of list, due and run."),
        (["run"], {"on": "2026-02-30"}, "“2026-02-30” is not a day, such as 2026-12-01."),
        (["run"], {"on": "31/12/26"}, "“31/12/26” is not a day"),
        (["run"], {"on": "2026-12-11"}, "2026-12-11 lies ahead"),
    ],
)
def test_the_command_refuses_what_it_cannot_read_in_a_sentence(args, options, words, settings):
    settings.DEBUG = False
    of = here()
    before = snapshot(of)
    with pytest.raises(CommandError, match=words.replace("(", r"\(")):
        call_command("playbooks", *args, **options)
    assert snapshot(of) == before


@pytest.mark.usefixtures("clock")
def test_the_command_says_which_account_failed_and_exits_badly(failing, capsys):
    good, bad = here(), here(name="Brokers")
    failing(bad)
    with pytest.raises(CommandError, match="failed on: 1"):
        call_command("playbooks", "run")
    assert (
        f"final-outreach-due failed on account {bad.pk}: ValueError: Brokers is broken"
        in capsys.readouterr().err
    )
    assert (good.acts.count(), bad.acts.count()) == (1, 0)
