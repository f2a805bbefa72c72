"""The feedback page: what customers said of the products, by product, and on to Slack."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.models import Note
from apps.outbox.models import Message
from apps.web.exports import EXPORTS
from tests.factories import NOW, account, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


@pytest.fixture
def browser(client):
    client.person = user(first_name="Ann", last_name="Ames")
    client.force_login(client.person)
    return client


def told(of, text, product="", kind="feedback"):
    return of.add_note(text, by=None, now=NOW, kind=kind, product=product)


def said(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def test_feedback_is_shown_by_product_and_other_notes_are_not(browser):
    of = account(name="Blue Harbor")
    assert "No feedback yet." in said(browser.get("/feedback/"))
    told(of, "Charts are **slow**", "Insights")
    told(of, "More colours", "insights")
    told(of, "Nice people")
    told(of, "A call", kind="note")
    page = said(browser.get("/feedback/"))
    for words in (
        "All 3",
        "No product 1",
        "Insights 2",
        "Insights Blue Harbor Somebody, 21 Nov Charts are slow",
    ):
        assert words in page
    assert "A call" not in page
    narrowed = browser.get("/feedback/?product=Insights")
    assert ("Nice people" in narrowed.text, "More colours" in narrowed.text) == (False, True)
    assert "/export/feedback/?product=Insights" in narrowed.text
    assert "Nice people" in browser.get("/feedback/?product=none").text
    assert "so it was ignored" in said(browser.get("/feedback/?product=Nothing"))


def test_a_note_of_feedback_keeps_its_product_in_the_spelling_of_the_team_and_others_keep_none(browser):
    of = account()
    for kind, product in (
        ("feedback", "Session replay"),
        ("feedback", "session REPLAY"),
        ("note", "Surveys"),
    ):
        sent = {"text": "x", "kind": kind, "product": product, "from": "account"}
        assert browser.post(f"/accounts/{of.pk}/note/", sent).status_code == 200
    assert sorted(Note.objects.values_list("kind", "product")) == [
        ("feedback", "Session replay"),
        ("feedback", "Session replay"),
        ("note", ""),
    ]


def test_feedback_is_sent_to_slack_once_as_it_is_written(browser):
    of = account(name="Blue Harbor")
    note, other = told(of, "Charts are slow", "Insights"), told(of, "A call", kind="note")
    for _ in range(2):
        assert browser.post(f"/feedback/{note.pk}/slack/").status_code == 302
    sent = Message.objects.get()
    assert (sent.channel, sent.subject, sent.text, sent.account) == (
        "slack",
        "Insights, Blue Harbor",
        "Charts are slow",
        of,
    )
    assert browser.post(f"/feedback/{other.pk}/slack/").status_code == 404
    browser.force_login(user("viewer"))
    assert browser.post(f"/feedback/{note.pk}/slack/").status_code == 403
    assert Message.objects.count() == 1


def test_a_long_page_goes_on_and_costs_no_query_more(browser):
    costs = []
    for rounds in (1, 60):
        for number in range(rounds):
            told(account(), f"Word {rounds}-{number}", f"Product {number}")
        with CaptureQueriesContext(connection) as asked:
            page = browser.get("/feedback/")
        costs.append(len(asked))
    assert costs[0] == costs[1]
    older = re.search(r'href="(\?[^"]*cursor=[^"]*)"', page.text)[1].replace("&amp;", "&")
    assert "Word 1-0" in browser.get(f"/feedback/{older}").text


def test_the_file_of_feedback_holds_what_its_page_shows(browser):
    told(account(), "One", "Insights")
    told(account(), "Two", "Flags")
    content = b"".join(browser.get("/export/feedback/?product=Flags").streaming_content).decode()
    assert content.count("\r\n") == 2
    assert "Flags,Two" in content
    assert EXPORTS["feedback"].right == "read"
