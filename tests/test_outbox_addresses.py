"""Where messages may leave to: no address inside, and nowhere in development."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from django.core.checks import run_checks

from apps.outbox import send, wire
from apps.outbox.models import MAIL, SLACK, Message
from tests import sending
from tests.factories import NOW
from tests.outside import Slack
from tests.sending import letter, note, write

clock = sending.clock


@pytest.mark.django_db
def test_in_development_nothing_leaves_and_all_can_be_read(settings, clock):
    settings.DEBUG, settings.SLACK_WEBHOOK_URL, settings.EMAIL_URL = True, "", ""
    write(note("a"), note("b"), letter("c"))
    assert (send.drain(SLACK, clock=clock), send.drain(MAIL, clock=clock)) == (2, 1)
    assert list(Message.objects.values_list("sent_at", "kept_here")) == [(NOW, True)] * 3


@pytest.mark.django_db
def test_in_production_what_has_no_way_out_is_held_back_and_says_so(settings, clock):
    settings.DEBUG, settings.SLACK_WEBHOOK_URL, settings.EMAIL_URL = False, "", ""
    write(note("a"), letter("b"))
    assert (send.drain(SLACK, clock=clock), send.drain(MAIL, clock=clock)) == (0, 0)
    assert list(Message.objects.held().values_list("because", flat=True).order_by("key")) == [
        "Slack is not set up: SLACK_WEBHOOK_URL.",
        "Mail is not set up: EMAIL_URL.",
    ]


REFUSED = {
    "http://hooks.example/x": "is not https",
    "ftp://hooks.example/x": "is no https address",
    "https://": "is no https address",
    "https://me:pw@hooks.example/": "is no https address",
    "https://hooks.example:99999/": "is no address",
    "https://[::1/": "is no address",
    "https://10.1.2.3/x": "lies inside a private network",
    "https://169.254.169.254/latest": "lies inside a private network",
    "https://localhost/": "lies inside a private network",
    "https://[::ffff:192.168.0.1]/": "lies inside a private network",
}


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_inside_is_refused(url):
    assert wire.refusal(url) == REFUSED[url]
    with pytest.raises(wire.NotSent, match=REFUSED[url]):
        wire.post(url, b"", {}, seconds=1)


def test_an_address_outside_is_fine():
    assert wire.refusal("https://hooks.slack.example/services/T/B/x") == ""


@pytest.mark.parametrize(
    "inside",
    [
        *("0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1"),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fc00::1", "fe80::1", "ff02::1"),
        *("::ffff:10.0.0.1", "2002:0a00:0001::", "64:ff9b::10.0.0.1"),
    ],
)
def test_no_address_of_a_private_range_is_reached(inside):
    assert not wire.may_reach(ip_address(inside))


@pytest.mark.parametrize("outside", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8"])
def test_an_address_out_in_the_world_is_reached(outside):
    assert wire.may_reach(ip_address(outside))


@pytest.mark.django_db
def test_a_name_that_leads_inside_is_refused_when_connecting(clock, settings, monkeypatch):
    with Slack() as server:
        settings.SLACK_WEBHOOK_URL = "https://hooks.example/x"
        inside = [
            (2, 1, 6, "", ("93.184.215.14", 443)),
            (2, 1, 6, "", ("127.0.0.1", server.server.server_port)),
        ]
        monkeypatch.setattr(wire.socket, "getaddrinfo", lambda *args, **more: inside)
        write(note("a"))
        assert send.drain(SLACK, clock=clock) == 1
        [message] = Message.objects.waiting()
        assert (message.because, server.heard) == ("The address lies inside a private network.", [])


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["", "https://hooks.slack.example/x", "https://10.0.0.1/x"])
def test_an_address_inside_is_told_at_the_start(settings, url):
    settings.SLACK_WEBHOOK_URL = url
    found = [error.msg for error in run_checks() if error.id == "outbox.E001"]
    assert found == (["SLACK_WEBHOOK_URL lies inside a private network."] if "10.0" in url else [])
