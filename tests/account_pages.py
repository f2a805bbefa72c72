"""An account's page as a browser asks for it, and as it is read."""

import re

from django.urls import reverse


def get(browser, of, **query):
    return browser.get(f"/accounts/{of.pk}/", query)


def said(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


def post(browser, view, of, /, *further, **values):
    return browser.post(reverse(f"web:{view}", args=[of.pk, *further]), {"from": "account"} | values)


def shown(browser, of, **query):
    return said(get(browser, of, **query))
