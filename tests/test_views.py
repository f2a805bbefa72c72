"""Columns that are chosen and ordered, and saved views: mine, shared, protected; laid over, never changed unasked."""

import csv
import io
import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.models import Contact, SavedView
from apps.crm.pipeline import Stage
from apps.web.tables import COLUMNS, DEFAULT_KEYS
from tests.answers import undo, undone_by
from tests.factories import NOW, TODAY, account, in_days, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


def names(answer):
    return re.findall(r'<th scope="row"><a href="/accounts/\d+/">([^<]*)</a>', answer.text)


def heads(answer):
    head = answer.text.split("<thead>")[1].split("</thead>")[0]
    return [" ".join(re.sub("<[^>]+>", "", one).split()) for one in re.findall(r"<th.*?</th>", head)][:-1]


def cells(answer):
    line = re.search(r'<tr id="a.*?</tr>', answer.text, re.S)[0]
    return [
        " ".join(unescape(re.sub(r"<[^>]+>", "", cell)).split())
        for cell in re.split(r"<t[hd][^>]*>", line)[1:-1]
    ]


def view(owner, query="stage=new", name="Mine", **fields):
    return SavedView.objects.create(
        name=name, query=query, owner=owner, created_at=NOW, changed_at=NOW, **fields
    )


def seen(of):
    return {"seen": of.changed_at.isoformat()}


def told(answer):
    return [unescape(text) for text in re.findall(r'<p class="banner"[^>]*>(.*?)</p>', answer.text)]


def kept(of):
    return SavedView.objects.values().get(pk=of.pk)


def test_the_columns_named_in_the_address_are_shown_in_its_order(browser):
    shown = account(
        Stage.NEW,
        since=NOW - timedelta(days=3),
        name="Acme",
        plan="startup",
        payment_risk="high",
        bills_reported=2,
        plan_ends_on=in_days(12),
        route="Because.",
    )
    Contact.objects.create(account=shown, email="ann@acme.example")
    Contact.objects.create(account=shown, email="bob@acme.example")
    answer = browser.get("/?columns=route,contacts,credit&columns=bills,plan,risk,alerts,entered")
    assert heads(answer) == [
        "Account",
        "Route",
        "Contacts’ e-mails",
        "Credit days left",
        "Bills paid",
        "Plan",
        "Payment risk",
        "Alerts",
        "Entered on",
    ]
    assert cells(answer)[1:] == [
        "Because.",
        "ann@acme.example +1",
        "12",
        "2",
        "Startup",
        "High",
        "",
        "18 Nov",
    ]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("nonsense", list(DEFAULT_KEYS)),
        ("<script>,owner,%00", ["account", "owner"]),
        ("owner,owner,account,stage", ["account", "owner", "stage"]),
        ("", list(DEFAULT_KEYS)),
        ("account", ["account"]),
    ],
)
def test_broken_columns_are_ignored_with_a_word(browser, given, shown):
    account(Stage.NEW)
    answer = browser.get(f"/?columns={given}")
    assert heads(answer) == [COLUMNS[key].label for key in shown]
    unknown = [key for key in unescape(given).split(",") if key and key not in COLUMNS and "%" not in key]
    assert [f"Column “{key}” is not known here, so it was ignored." for key in unknown] == [
        unescape(said)
        for said in re.findall(r'<p class="notice wait" role="status">(Column.*?)</p>', answer.text)
    ]


def test_every_column_costs_no_query_a_row_and_parts_are_drawn_with_those_on_the_screen(browser):
    every = f"/?columns={','.join(reversed(COLUMNS))}"

    def costs():
        with CaptureQueriesContext(connection) as queries:
            browser.get(every)
        return len(queries)

    made = account(Stage.NEW, name="Acme", plan="yc")
    Contact.objects.create(account=made, email="ann@acme.example")
    browser.get(every)
    few = costs()
    for number in range(12):
        Contact.objects.create(account=account(Stage.NEW), email=f"a{number}@x.example")
    assert costs() == few <= 16
    part = browser.get(f"/daily/changed/?ids={made.pk}", headers={"Columns": "account,plan,contacts"})
    assert cells(part) == ["Acme New", "YC", "ann@acme.example"]


def test_what_is_shown_is_kept_as_a_view_with_filters_order_and_columns(browser, me):
    account(Stage.NEW, name="Small", forecast=1)
    account(Stage.NEW, name="Large", forecast=9)
    account(Stage.INITIATED, name="Other")
    answer = browser.post(
        "/views/",
        {"name": "Big first", "query": "stage=new&sort=-forecast&columns=forecast,stage", "from": "list"},
        follow=True,
    )
    made = SavedView.objects.get()
    assert (made.owner, made.name, made.shared) == (me, "Big first", False)
    assert answer.redirect_chain == [(f"/?view={made.pk}", 302)]
    assert told(answer) == ["“Big first” is kept."]
    assert names(answer) == ["Large", "Small"]
    assert heads(answer) == ["Account", "Forecast", "Stage"]
    assert "Changed from" not in answer.text


def test_a_name_is_given_once_a_person_in_any_case(browser, me):
    view(me, name="Mine")
    answer = browser.post("/views/", {"name": "MINE", "query": "plan=yc", "here": "plan=yc"}, follow=True)
    assert told(answer) == ["There is a view “MINE” already; give it another name."]
    assert answer.redirect_chain == [("/?plan=yc", 302)]
    assert SavedView.objects.count() == 1


@pytest.mark.parametrize("page", ["/", "/board/", "/export/daily/", "/api/v1/accounts"])
def test_a_view_serves_list_board_export_and_api_and_one_filter_over_it(page, client, api):
    person = api.person if page.startswith("/api") else user()
    client.force_login(person)
    mine = view(person, "stage=new&plan=yc")
    for name, stage, plan in (("In", "new", "yc"), ("Out", "new", "boost"), ("Moved", "initiated", "yc")):
        account(Stage(stage), name=name, plan=plan)

    def shown(query):
        if page.startswith("/api"):
            return {row["name"] for row in api.get(f"/accounts?{query}").json()["results"]}
        answer = client.get(f"{page}?{query}")
        text = b"".join(answer).decode() if answer.streaming else answer.text
        return {name for name in ("In", "Out", "Moved") if re.search(rf"[>,]{name}[<,]", text)}

    assert shown(f"view={mine.pk}") == {"In"}
    assert shown(f"view={mine.pk}&stage=initiated") == {"Moved"}
    assert shown(f"view={mine.pk}&plan=") == {"In", "Out"}


def test_what_others_lay_over_a_shared_view_leaves_it_as_it_is_and_says_so(browser):
    theirs = view(user(first_name="Dan"), "stage=new&plan=yc", name="Dan’s", shared=True)
    account(Stage.NEW, name="In", plan="yc")
    account(Stage.INITIATED, name="Moved", plan="yc")
    before = kept(theirs)
    answer = browser.get(f"/?view={theirs.pk}&stage=initiated&columns=plan")
    assert names(answer) == ["Moved"]
    said = " ".join(re.sub("<[^>]+>", "", answer.text.split('<span class="changed">')[1]).split())
    assert said.startswith("Changed from “Dan’s”, which stays as it is. Save as mine Back to the view")
    assert "Save the view" not in answer.text
    for name, sends in (("update", {"query": "plan=boost"}), ("rename", {"name": "Ha"}), ("delete", {})):
        assert browser.post(f"/views/{theirs.pk}/{name}/", {**seen(theirs), **sends}).status_code == 403
    assert kept(theirs) == before


def test_a_filter_of_a_view_is_taken_off_by_its_chip_and_is_not_forgotten_by_links(browser, me):
    mine = view(me, "stage=new&plan=yc")
    for name, plan in (("In", "yc"), ("Out", "boost")):
        account(Stage.NEW, name=name, plan=plan)
    answer = browser.get(f"/?view={mine.pk}&columns=plan,stage")
    chips = re.findall(
        r'<a class="chip accent" href="([^"]*)" aria-label="Remove the filter Plan', answer.text
    )
    off = browser.get(unescape(chips[0]))
    assert (names(off), heads(off)) == (["In", "Out"], ["Account", "Plan", "Stage"])
    by_stage = re.search(r'<a href="(/[^"]*)">Stage</a>', answer.text)[1]
    assert names(browser.get(unescape(by_stage))) == ["In"]
    form = answer.text.split('<form class="filter"')[1].split("</form>")[0]
    assert 'data-laid="stage plan"' in form
    sends = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
    assert dict(sends) == {"view": str(mine.pk), "columns": "plan,stage", "stage": "new", "plan": "yc"}


@pytest.mark.parametrize(
    ("role", "shared", "protected", "own", "may"),
    [
        ("specialist", False, False, True, True),
        ("specialist", True, False, True, True),
        ("specialist", True, False, False, False),
        ("specialist", True, True, True, False),
        ("lead", True, False, False, True),
        ("lead", True, True, False, True),
        ("viewer", True, False, False, False),
        ("viewer", False, False, True, True),
    ],
)
def test_a_view_is_changed_by_its_owner_or_a_lead_and_a_protected_one_by_a_lead(
    client, role, shared, protected, own, may
):
    person = user(role)
    client.force_login(person)
    one = view(person if own else user(), shared=shared, protected=protected)
    before = kept(one)
    answer = client.post(f"/views/{one.pk}/update/", {**seen(one), "query": "plan=yc"})
    assert answer.status_code == (302 if may else 403)
    assert (kept(one)["query"] == "plan=yc") is may
    assert may or kept(one) == before


def test_others_see_shared_views_and_never_somebodys_own(browser):
    hidden = view(user(), name="Hidden")
    account(Stage.INITIATED, name="Still here")
    answer = browser.get(f"/?view={hidden.pk}")
    assert f"View “{hidden.pk}” is not known here, so it was ignored." in answer.text
    assert names(answer) == ["Still here"]
    assert ">Hidden" not in answer.text
    for action in ("update", "rename", "delete", "opens-with"):
        assert browser.post(f"/views/{hidden.pk}/{action}/", seen(hidden)).status_code == 404
    for broken in ("x", "9" * 30, "-1", "%00"):
        assert browser.get(f"/?view={broken}").status_code == 200


def test_only_who_works_shares_and_only_a_lead_protects(client):
    for role, sharing, protecting in (("viewer", 0, 0), ("specialist", 1, 0), ("lead", 1, 1)):
        person = user(role)
        client.force_login(person)
        one = view(person, name=role)
        sent = {**seen(one), "name": role, "shared": "1", "protected": "1"}
        assert client.post(f"/views/{one.pk}/rename/", sent).status_code == 302
        one.refresh_from_db()
        assert (one.shared, one.protected) == (bool(sharing), bool(protecting)), role


def test_whoever_changes_a_view_second_is_told_and_changes_nothing(client):
    one = view(user(), shared=True)
    before = seen(one)
    client.force_login(user("lead"))
    with time_machine.travel(NOW + timedelta(seconds=5), tick=False):
        client.post(f"/views/{one.pk}/update/", {**before, "query": "plan=yc"})
        after = kept(one)
        answer = client.post(f"/views/{one.pk}/update/", {**before, "query": "plan=boost"}, follow=True)
    assert told(answer)[1:] == ["Somebody else changed the view “Mine” meanwhile. Look at it first."]
    assert kept(one) == after


def test_what_was_saved_over_a_view_and_its_name_of_before_come_back_with_undo(browser, me):
    mine = view(me)
    before = (mine.name, mine.query, mine.shared)
    for change in (
        {"name": "update", "query": "plan=yc"},
        {"name": "rename", "query": mine.query},
    ):
        name = change.pop("name")
        with time_machine.travel(NOW + timedelta(seconds=5), tick=False):
            sent = {**seen(mine), **change, "name": "Another"}
            answer = browser.post(f"/views/{mine.pk}/{name}/", sent, follow=True)
        mine.refresh_from_db()
        assert (mine.name, mine.query, mine.shared) != before
        undo(browser, answer)
        mine.refresh_from_db()
        assert (mine.name, mine.query, mine.shared) == before


def test_a_deleted_view_comes_back_with_undo_and_its_address_says_it_is_gone(browser, me):
    mine = view(me)
    answer = browser.post(f"/views/{mine.pk}/delete/", seen(mine), follow=True)
    assert told(answer) == ["“Mine” is deleted."]
    assert undone_by(answer)["url"] == f"/views/{mine.pk}/restore/"
    assert "is not known here" in browser.get(f"/?view={mine.pk}").text
    back = browser.post(f"/views/{mine.pk}/restore/")
    assert back.url == f"/?view={mine.pk}"
    assert "is not known here" not in browser.get(f"/?view={mine.pk}").text


def test_the_list_opens_with_the_view_of_ones_choice_and_all_accounts_stay_one_click_away(browser, me):
    mine = view(me)
    account(Stage.NEW, name="In")
    account(Stage.INITIATED, name="Out")
    browser.post(f"/views/{mine.pk}/opens-with/", seen(mine))
    answer = browser.get("/", follow=True)
    assert answer.redirect_chain == [(f"/?view={mine.pk}", 302)]
    assert names(answer) == ["In"]
    assert 'href="/?view=none"' in answer.text
    assert names(browser.get("/?view=none")) == ["In", "Out"]
    browser.post(f"/views/{mine.pk}/delete/", seen(mine))
    assert names(browser.get("/", follow=True)) == ["In", "Out"]


def test_an_export_holds_just_what_the_list_shows_past_its_first_page(browser, me):
    for number in range(60):
        account(Stage.NEW, name=f"N{number:02}", plan="yc" if number % 2 else "boost", next_renewal_on=TODAY)
    mine = view(me, "plan=yc&sort=-name&columns=plan,renewal")
    answer = browser.get(f"/?view={mine.pk}")
    link = unescape(re.search(r'href="(/export/daily/[^"]*)"', answer.text)[1])
    rows = list(csv.DictReader(io.StringIO(b"".join(browser.get(link)).decode().lstrip("\ufeff"))))
    assert [row["name"] for row in rows] == [f"N{number:02}" for number in range(59, 0, -2)]
    assert [*rows[0]] == [
        "external_id",
        "name",
        "plan",
        "next_renewal_on",
        "contract_renewal_on",
        "renewal_on",
    ]
    assert "30 accounts" in answer.text


def test_the_head_of_a_lane_counts_and_sums_what_is_past_the_loaded_cards(browser):
    for number in range(40):
        account(Stage.NEW, plan="yc" if number % 2 else "boost", forecast=100)
    for plan, many in (("yc", 20), ("", 40)):
        text = browser.get(f"/board/?plan={plan}").text
        lane = text.split('id="lane-new"')[1].split("<ol")[0] if 'id="lane-new"' in text else text
        assert f"${many * 100:,}" in lane
        assert (f"{many} of 40" if plan else "40") in lane
