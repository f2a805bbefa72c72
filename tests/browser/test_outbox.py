"""The outbox in a browser: readable by everybody, and a mail that does nothing."""

from __future__ import annotations

import pytest

from apps.outbox.models import SLACK, Gate, Message
from tests.factories import NOW, account, user

pytestmark = pytest.mark.django_db(transaction=True)

HTML = """<p>Hello Ann</p><a href="https://evil.example/">Click</a><img src="https://evil.example/seen.gif">
<script>parent.document.title = "stolen"</script>"""


def test_the_outbox_is_accessible_and_a_mail_is_shown_without_acting(page, login, axe):
    [mail] = Message.objects.write(
        [
            Message.mail(
                "m", to="ann@acme.example", kind="test", subject="Hello", now=NOW, text="Hello Ann", html=HTML
            )
        ]
    )
    Message.objects.write(
        [Message.slack("s", kind="test", subject="Payment failed", now=NOW, account_id=account().pk)]
    )
    Gate.objects.turn(SLACK, shut=True, by=None, now=NOW, because="Slack answered 404.")
    # What the mail tries is what the browser may complain of, and all of it.
    page.excused += ["evil.example", "sandboxed"]
    login(page, user("lead"))
    page.goto("/outbox/")
    axe(page)
    page.get_by_role("button", name="Turn on Slack").click()
    page.get_by_text("Slack is on again").wait_for()
    assert page.get_by_text("Slack does not work any more").count() == 0
    page.get_by_role("link", name="Hello").click()
    page.wait_for_url(f"**/outbox/{mail.pk}/")
    page.frame_locator("iframe").get_by_text("Hello Ann").wait_for()
    assert page.title() == "Hello · Onramp"
    axe(page)
