"""An answer to the survey: what the link opens, what is kept, and whom a low score alerts."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import signing
from django.db import IntegrityError, transaction

from apps.crm.models import Alert, Policy, StageTransition, Survey
from apps.crm.models.survey import CHANGEABLE, LONGEST_WORD, MOST_ANSWERS
from apps.outbox.mail import unsubscribe_url
from apps.outbox.models import Message
from apps.playbooks.engine import run
from apps.playbooks.models import Act
from tests.factories import NOW, account, days, user
from tests.surveying import AN_INSTANT, LATER, LOW, acted_on, asked, closed

pytestmark = pytest.mark.django_db


def address(of, **query):
    return f"/survey/{of.token}/" + "".join(f"?{name}={value}" for name, value in query.items())


def said(of):
    return Survey.objects.values_list("score", "word", "answered_at", "changed_at", "answers").get(pk=of.pk)


NOTHING = (None, "", None, None, 0)


@pytest.fixture
def at():
    """Sets the clock: ``at(when)``."""
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock.move_to


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("query", ["", "?score=0", "?score=10"])
def test_a_look_changes_nothing_whatever_score_the_link_carries(client, at, method, query):
    survey = asked()
    answer = getattr(client, method)(address(survey) + query)
    assert answer.status_code == 200
    assert said(survey) == NOTHING
    assert not client.cookies


@pytest.mark.parametrize(
    ("score", "chosen"),
    [("7", ["7"]), ("0", ["0"]), ("10", ["10"]), ("11", []), ("-1", []), ("x", []), ("%00", [])],
)
def test_a_score_in_the_link_is_only_chosen_beforehand(client, at, score, chosen):
    text = client.get(address(asked(), score=score)).text
    assert re.findall(r'value="(\d+)" required checked', text) == chosen
    assert text.count('type="radio"') == 11


def test_an_answer_is_kept_shown_and_changed_for_seven_days(client, at):
    of = closed()
    survey = asked(of)
    page = client.post(address(survey), {"score": "8", "word": "Good\r\ncalls <b>"}, follow=True)
    assert page.redirect_chain == [(address(survey), 302)]
    assert said(survey) == (8, "Good\ncalls <b>", NOW, NOW, 1)
    assert "You gave <b>8 of 10</b> on 21 Nov." in page.text
    assert "Good\ncalls &lt;b&gt;</blockquote>" in page.text
    assert "You can change it until 28 Nov." in page.text
    last = NOW + CHANGEABLE - timedelta(seconds=1)
    at(last)
    client.post(address(survey), {"score": "9", "word": ""})
    assert said(survey) == (9, "", NOW, last, 2)
    at(NOW + CHANGEABLE)
    late = client.post(address(survey), {"score": "1", "word": "late"})
    assert (late.status_code, said(survey)) == (410, (9, "", NOW, last, 2))
    for page in (late, client.get(address(survey))):
        assert "You gave <b>9 of 10</b> on 28 Nov." in page.text
        assert "This answer is final" in page.text
        assert "<form" not in page.text
    assert client.get(address(survey)).status_code == 200
    # After the time to answer is over, what was answered can still be read.
    at(NOW + days(60))
    assert "You gave <b>9 of 10</b>" in client.get(address(survey)).text


def test_the_same_answer_again_is_no_change(client, at):
    survey = asked()
    client.post(address(survey), {"score": "8", "word": "ok"})
    at(LATER)
    assert client.post(address(survey), {"score": "8", "word": "ok"}).status_code == 302
    assert said(survey) == (8, "ok", NOW, NOW, 1)


def test_an_answer_is_not_changed_without_end(client, at):
    survey = asked()
    for number in range(MOST_ANSWERS + 1):
        answer = client.post(address(survey), {"score": str(number % 2)})
    assert (answer.status_code, said(survey)) == (410, (1, "", NOW, NOW, MOST_ANSWERS))


BAD = {
    "no score": ({"word": "x"}, "Choose a score from 0 to 10."),
    "an empty score": ({"score": "", "word": "x"}, "Choose a score from 0 to 10."),
    "one below": ({"score": "-1"}, "The score is a number from 0 to 10."),
    "one above": ({"score": "11"}, "The score is a number from 0 to 10."),
    "half a point": ({"score": "7.5"}, "The score is a number from 0 to 10."),
    "words": ({"score": "<b>"}, "The score is a number from 0 to 10."),
    "full-width": ({"score": "\uff17"}, "The score is a number from 0 to 10."),
    "NUL": ({"score": "7", "word": "a\0b"}, "Null characters are not allowed."),
    "too long": (
        {"score": "7", "word": "x" * (LONGEST_WORD + 1)},
        "Please shorten your words to 2,000 characters.",
    ),
}


@pytest.mark.parametrize(("sent", "sentence"), BAD.values(), ids=BAD)
def test_a_bad_answer_gets_a_sentence_and_changes_nothing(client, at, sent, sentence):
    survey = asked()
    answer = client.post(address(survey), sent)
    assert answer.status_code == 422
    assert f'role="alert">{sentence} Nothing was changed.</p>' in answer.text
    assert said(survey) == NOTHING
    assert ">x</textarea>" in answer.text or sent.get("word") != "x"


def test_an_expired_link_says_so_and_changes_nothing(client, at):
    survey = asked()
    at(NOW + days(30) - timedelta(seconds=1))
    assert client.get(address(survey)).status_code == 200
    at(NOW + days(30))
    for answer in (client.get(address(survey)), client.post(address(survey), {"score": "7"})):
        assert answer.status_code == 410
        assert "This survey is closed" in answer.text
        assert "It could be answered until 21 Dec." in answer.text
        assert "<form" not in answer.text
    assert said(survey) == NOTHING


FORGED = {
    "cut off": lambda survey: survey.token[:-1],
    "another signature": lambda survey: survey.token[:-1] + ("A" if survey.token[-1] != "A" else "B"),
    "no signature": lambda survey: str(survey.reference),
    "an empty signature": lambda survey: f"{survey.reference}:",
    "another survey's signature": lambda survey: f"{survey.reference}:{asked().token.partition(':')[2]}",
    "an unsubscribe link's": lambda survey: unsubscribe_url(survey.contact.email).split("/")[-2],
    "signed for something else": lambda survey: signing.Signer(salt="other").sign(str(survey.reference)),
    "signed with another key": lambda survey: signing.Signer(key="x" * 50, salt="survey").sign(
        str(survey.reference)
    ),
    "NUL": lambda survey: "%00",
    "not ASCII": lambda survey: "ü:ü",
    "10 KB": lambda survey: "x" * 10_000,
}


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED)
def test_a_forged_or_foreign_link_says_so_and_changes_nothing(client, at, token, method):
    survey = asked()
    answer = getattr(client, method)(f"/survey/{token(survey)}/", {"score": "7"})
    assert answer.status_code == 404
    assert "This link does not work" in answer.text
    assert not Survey.objects.filter(score__isnull=False).exists()


def test_the_link_of_an_erased_account_does_not_work(client, at):
    of = closed()
    link = address(asked(of))
    of.delete()
    assert not Survey.objects.exists()
    assert client.get(link).status_code == client.post(link, {"score": "7"}).status_code == 404


def test_an_erased_person_is_gone_from_their_answer():
    of = closed()
    survey = asked(of)
    survey.answer(8, "", numbers=Policy.at(NOW))
    of.contacts.all().delete()
    survey.refresh_from_db()
    assert (survey.contact, survey.score) == (None, 8)


@pytest.mark.parametrize("broken", [False, True])
def test_the_page_tells_nobody_its_address_and_asks_for_no_login(client, at, broken):
    answer = client.get("/survey/x/" if broken else address(asked()))
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert '<meta name="robots" content="noindex">' in answer.text
    assert "no-store" in answer.headers["Cache-Control"]
    assert "<script" not in answer.text


def test_another_method_is_refused(client, at):
    survey = asked()
    assert client.put(address(survey), {"score": "7"}).status_code == 405
    assert said(survey) == NOTHING


@pytest.mark.parametrize(
    "bad",
    [
        {"score": 11},
        {"score": None},
        {"answered_at": None},
        {"changed_at": None},
        {"answers": 0},
        {"answers": MOST_ANSWERS + 1},
        {"changed_at": NOW + CHANGEABLE},
        {"changed_at": NOW - AN_INSTANT},
    ],
)
def test_the_database_refuses_an_answer_that_cannot_be(bad):
    survey = asked()
    survey.answer(8, "ok", numbers=Policy.at(NOW))
    with pytest.raises(IntegrityError), transaction.atomic():
        Survey.objects.filter(pk=survey.pk).update(**bad)
    assert said(survey) == (8, "ok", NOW, NOW, 1)


def test_the_database_refuses_words_without_a_score_and_a_second_survey_of_a_closing():
    survey = asked()
    with pytest.raises(IntegrityError), transaction.atomic():
        Survey.objects.filter(pk=survey.pk).update(word="x")
    with pytest.raises(IntegrityError), transaction.atomic():
        Survey.objects.create(account=survey.account, closing=survey.closing, asked_at=NOW)
    assert said(survey) == NOTHING
    assert Survey.objects.count() == 1


def answered(score, word="", **fields):
    of = closed(**fields)
    survey = asked(of)
    survey.answer(score, word, numbers=Policy.at(NOW))
    return of, survey


@pytest.mark.parametrize(("score", "low"), [(0, True), (6, True), (7, False), (10, False)])
def test_a_low_score_raises_an_alert_and_no_other_does(score, low):
    owner = user()
    of, survey = answered(score, "Too slow.", owner=owner)
    assert acted_on(LOW) == ([of.pk] if low else [])
    assert acted_on(LOW, now=LATER) == []
    expected = [
        (
            f"survey:{survey.pk}-1",
            f"They gave the onboarding {score} of 10: “Too slow.” Ask them what went wrong.",
            owner.pk,
        )
    ]
    assert list(of.alerts.values_list("subject", "text", "assignee")) == (expected if low else [])
    of.refresh_from_db()
    assert of.open_alerts == low


def test_an_answer_of_long_ago_is_no_news():
    answered(1)
    assert acted_on(LOW, now=NOW + days(31)) == []
    assert not Alert.objects.exists()


def test_the_alert_follows_the_answer_up_and_down_again():
    of, survey = answered(3)
    other, _ = answered(2)
    run([LOW], now=NOW)
    for score, minutes, left in ((8, 1, []), (6, 2, [3]), (5, 3, [4]), (10, 4, [])):
        now = NOW + timedelta(minutes=minutes)
        survey.answer(score, "", numbers=Policy.at(now))
        run([LOW], now=now)
        of.refresh_from_db()
        standing = [f"survey:{survey.pk}-{answer}" for answer in left]
        assert list(of.alerts.open().values_list("subject", flat=True)) == standing
        assert of.open_alerts == len(standing)
    closed_ones = of.alerts.filter(resolved_at__isnull=False, resolved_by=None)
    assert {alert.resolution for alert in closed_ones} == {
        "The answer was changed, or does not count as low any more."
    }
    assert other.alerts.open().count() == 1


def test_the_answer_stands_on_the_accounts_page(client):
    of, survey = answered(3, "<b>Slow</b>")
    survey.answer(2, "<b>Slow</b>", numbers=Policy.at(LATER))
    client.force_login(user("viewer"))
    text = client.get(f"/accounts/{of.pk}/?kind=surveys").text
    assert '<h2 id="h-surveys">Satisfaction</h2>' in text
    assert '<b class="bad">2 of 10</b>' in text
    assert "Survey answer changed: <b>2 of 10</b>" in text
    assert "&lt;b&gt;Slow&lt;/b&gt;" in text
    assert "<b>Slow</b>" not in text
    waiting = asked()
    assert "Asked, no answer yet" in client.get(f"/accounts/{waiting.account_id}/").text
    assert "Satisfaction" not in client.get(f"/accounts/{account().pk}/").text


def test_in_the_admin_it_is_read_and_not_written(client):
    _, survey = answered(3, "Slow")
    client.force_login(user("admin", is_staff=True, is_superuser=True))
    assert "Slow" in client.get("/admin/crm/survey/").text
    assert client.get("/admin/crm/survey/add/").status_code == 403
    client.post(f"/admin/crm/survey/{survey.pk}/change/", {"score": "10"})
    assert client.post(f"/admin/crm/survey/{survey.pk}/delete/", {"post": "yes"}).status_code == 403
    assert said(survey)[0] == 3


def test_an_account_with_surveys_can_be_erased():
    of, _ = answered(3)
    run([LOW], now=NOW)
    of.delete()
    left = (Survey, StageTransition, Act, Alert, Message)
    assert [model.objects.exists() for model in left] == [False] * len(left)
