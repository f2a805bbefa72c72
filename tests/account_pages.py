"""An account's page as a browser asks for it, and as it is read."""

import json
import re
from html import unescape

from django.urls import reverse


def get(browser, of, **query):
    return browser.get(f"/accounts/{of.pk}/", query)


def said(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def post(browser, view, of, /, *further, **values):
    return browser.post(reverse(f"web:{view}", args=[of.pk, *further]), {"from": "account"} | values)


def shown(browser, of, **query):
    return said(get(browser, of, **query))


def toast(answer):
    return json.loads(answer.headers["HX-Trigger"])["toast"]


def undone_by(answer):
    """What Undo would send, of a word said on the page."""
    return json.loads(unescape(re.search(r'data-undo-by="([^"]+)"', answer.text)[1]))


def undo(browser, answer):
    back = undone_by(answer)
    return browser.post(back["url"], back["values"], follow=True)
