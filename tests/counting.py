"""Months and numbers, as the tests of the reports count them."""

from datetime import date

from django.test import Client

from apps.crm.models import Policy
from apps.crm.pipeline import Stage
from tests.factories import NOW, user

S = Stage


def numbers(now=NOW):
    return Policy.at(now)


def signed_in(role="lead"):
    client = Client()
    client.person = user(role)
    client.force_login(client.person)
    return client


def plus(month, number):
    years, place = divmod(month.year * 12 + month.month - 1 + number, 12)
    return date(years, place + 1, 1)
