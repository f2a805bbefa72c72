"""The outbox page: everybody reads, leads steer, and a reader of our mail can end it."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.crm.models.user import ROLES
from apps.outbox.mail import unsubscribe_url, written
from apps.outbox.models import AUTOMATIC, SLACK, Gate, Message
from tests.factories import NOW, account, user

pytestmark = pytest.mark.django_db

ENDS = {
    "waiting": {},
    "sent": {"sent_at": NOW},
    "held": {"held_at": NOW, "because": "They unsubscribed."},
    "failed": {"failed_at": NOW, "because": "Slack answered 400.", "tries": 10},
}


def signed_in(client, role="lead"):
    person = user(role)
    client.force_login(person)
    return person


def note(key, end="waiting", **more):
    [made] = Message.objects.write([Message.slack(key, kind="test", subject=f"About {key}", now=NOW, **more)])
    Message.objects.filter(pk=made.pk).update(**ENDS[end])
    return made


def letter(key, end="waiting", **more):
    made = Message.mail(key, to="ann@acme.example", kind="test", subject=f"About {key}", now=NOW, **more)
    Message.objects.write([made])
    Message.objects.filter(pk=made.pk).update(**ENDS[end])
    return made


def told(answer):
    return answer.content.decode()


@pytest.mark.parametrize("end", ENDS)
def test_each_state_lists_its_messages_and_no_other(client, end):
    signed_in(client, "viewer")
    for one in ENDS:
        note(one, one)
    page = told(client.get("/outbox/", {"state": end}))
    assert [f"About {one}</bdi>" in page for one in ENDS] == [one == end for one in ENDS]
    assert (ENDS[end].get("because", "") in page) is True
    assert "Try again" not in page
    assert "Stop</button>" not in page


def test_a_channel_can_be_looked_at_alone_and_nonsense_is_passed_over(client):
    signed_in(client)
    note("slack one")
    letter("mail one")
    page = told(client.get("/outbox/?channel=mail"))
    assert ("About mail one" in page, "About slack one" in page) == (True, False)
    page = told(client.get("/outbox/?channel=pigeon&state=objects&cursor=x%00"))
    assert ("About mail one" in page, "About slack one" in page) == (True, True)


def test_it_is_paged_newest_first_and_costs_no_query_a_row(client):
    signed_in(client)
    one = account()

    def looked(query=""):
        with CaptureQueriesContext(
            connection,
        ) as captured:
            answer = client.get(f"/outbox/{query}")
        return answer, len(captured)

    note("m0", account_id=one.pk)
    looked()
    few = looked()[1]
    for number in range(1, 60):
        note(f"m{number}", account_id=account().pk)
    answer, many = looked()
    assert many == few
    assert [f"About m{number}</bdi>" in told(answer) for number in (59, 10, 9, 0)] == [
        True,
        True,
        False,
        False,
    ]
    cursor = told(answer).partition('<a href="?state=waiting&amp;cursor=')[2].partition('"')[0]
    older = told(looked(f"?state=waiting&cursor={cursor}")[0])
    assert [f"About m{number}</bdi>" in older for number in (59, 10, 9, 0)] == [False, False, True, True]


def test_a_message_can_be_read_as_it_goes_out(client):
    signed_in(client, "viewer")
    mail = letter(
        "m", text="Hi <b>Ann</b>", html="<p>Hi</p><script>alert(1)</script>", account_id=account().pk
    )
    answer = client.get(f"/outbox/{mail.pk}/")
    page = told(answer)
    assert "Hi &lt;b&gt;Ann&lt;/b&gt;" in page
    assert f'<iframe class="letter" sandbox src="/outbox/{mail.pk}/html/"' in page
    assert str(mail.reference) in page
    assert "frame-src 'self'" in answer["Content-Security-Policy"]
    framed = client.get(f"/outbox/{mail.pk}/html/")
    policy = framed["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'self'", "sandbox"} <= set(policy)
    assert not any(part.startswith("script-src") for part in policy)
    assert framed["X-Frame-Options"] == "SAMEORIGIN"


STEERS = {"lead": True, "admin": True}


@pytest.mark.parametrize("role", ROLES)
def test_only_a_lead_steers(client, role):
    signed_in(client, role)
    failed = note("m", "failed")
    may = STEERS.get(role, False)
    answers = [
        client.post(f"/outbox/{failed.pk}/retry/").status_code,
        client.post("/outbox/gates/mail/", {"shut": "1"}).status_code,
    ]
    assert answers == ([302, 302] if may else [403, 403])
    assert Message.objects.waiting().count() == may
    assert Gate.objects.shut().count() == may


def test_a_gate_is_stopped_and_opened_and_says_who_stopped_it(client):
    lead = signed_in(client)
    client.post(f"/outbox/gates/{AUTOMATIC}/", {"shut": "1"})
    assert Gate.objects.get(name=AUTOMATIC).by == lead
    page = told(client.get("/outbox/"))
    assert f"Stopped by {lead}" in page
    assert "does not work any more" not in page
    client.post(f"/outbox/gates/{AUTOMATIC}/", {"shut": "0"})
    assert not Gate.objects.shut().exists()
    assert client.post("/outbox/gates/pigeon/", {"shut": "1"}).status_code == 404


def test_a_dead_channel_is_told_on_every_page_to_everybody(client):
    signed_in(client, "viewer")
    banner = "Slack does not work any more: its messages wait."
    addresses = ("/", "/board/", "/alerts/", "/playbooks/", "/outbox/", f"/accounts/{account().pk}/")
    assert [banner in told(client.get(address)) for address in addresses] == [False] * 6
    Gate.objects.turn(SLACK, shut=True, by=None, now=NOW, because="Slack answered 404.")
    assert [banner in told(client.get(address)) for address in addresses] == [True] * 6
    assert "Slack answered 404." in told(client.get("/outbox/"))
    Gate.objects.turn(SLACK, shut=False, by=user("lead"), now=NOW)
    assert banner not in told(client.get("/"))


def test_nothing_is_retried_that_left(client):
    signed_in(client)
    sent = note("m", "sent")
    client.post(f"/outbox/{sent.pk}/retry/")
    assert Message.objects.sent().get() == sent
    assert client.get(f"/outbox/{sent.pk}/retry/").status_code == 405


def path_of(address):
    return unsubscribe_url(address).partition("://")[2].partition("/")[2].join(["/", ""])


def test_a_reader_ends_automatic_mail_by_a_click_or_by_their_mail_program():
    one, other = account(), account()
    for mine in (one, other):
        mine.contacts.create(email="ann@acme.example")
    one.contacts.create(email="bob@acme.example")
    stranger = Client(enforce_csrf_checks=True)
    asked = stranger.get(path_of("Ann@acme.example"))
    assert (asked.status_code, "Stop it" in told(asked)) == (200, True)
    assert not one.contacts.filter(unsubscribed_at__isnull=False).exists()
    done = stranger.post(path_of("ann@acme.example"), {"List-Unsubscribe": "One-Click"})
    assert (done.status_code, "No more automatic mail<" in told(done)) == (200, True)
    assert one.contacts.get(email="ann@acme.example").unsubscribed_at is not None
    assert other.contacts.get().unsubscribed_at is not None
    assert one.contacts.get(email="bob@acme.example").unsubscribed_at is None


def test_a_link_that_is_not_ours_ends_nothing(client):
    one = account()
    one.contacts.create(email="ann@acme.example")
    answer = client.post(path_of("ann@acme.example")[:-3] + "/")
    assert (answer.status_code, "broken" in told(answer)) == (404, True)
    assert one.contacts.get().unsubscribed_at is None


def test_a_mail_is_written_in_text_and_html_with_nothing_acting_in_either():
    context = {
        "title": "Hello",
        "paragraphs": ["Tom & <b>Jerry</b>\u202e"],
        "link": {"words": "Look", "url": "https://onramp.example/x"},
        "automatic": True,
    }
    mail = written("plain", to="ann@acme.example", **context)
    assert "Tom & <b>Jerry</b>\ufffd" in mail["text"]
    assert "Look: https://onramp.example/x" in mail["text"]
    assert f"No more mail like this: {unsubscribe_url('ann@acme.example')}" in mail["text"]
    assert "<p>Tom &amp; &lt;b&gt;Jerry&lt;/b&gt;\ufffd</p>" in mail["html"]
    assert f'<a href="{unsubscribe_url("ann@acme.example")}">No more mail like this</a>' in mail["html"]
