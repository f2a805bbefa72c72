"""The daily list: what it shows, in what order, by which links, and what it costs."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.crm.models import Account, AccountLabel, Alert, Call, Contact, Label, Policy
from apps.crm.pipeline import Stage
from apps.web.display import RUNWAY_WIDTH, runway_at
from apps.web.tables import Word, stay
from tests.answers import toast
from tests.factories import NOW, TODAY, account, in_days, snapshot, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


def names(answer):
    return re.findall(r'<th scope="row"><a href="/accounts/\d+/">([^<]*)</a>', answer.text)


def row(answer, name):
    """The text of one account's cells."""
    line = next(line for line in re.findall(r"<tr id=\"a.*?</tr>", answer.text, re.S) if name in line)
    cells = re.split(r"<t[hd][^>]*>", line)[1:]
    return [" ".join(re.sub(r"<[^>]+>", "", cell).split()) for cell in cells]


def test_open_accounts_stand_in_the_order_of_their_renewals_unknown_ones_last(browser):
    account(Stage.NEW, name="Third", next_renewal_on=None)
    account(Stage.INITIATED, name="Second", next_renewal_on=in_days(9))
    account(Stage.PAID_CALL, name="First", next_renewal_on=in_days(-3))
    account(Stage.CHURNED, name="Closed")
    account(name="Outside")
    answer = browser.get("/")
    assert names(answer) == ["First", "Second", "Third"]
    assert "3 accounts in open stages" in answer.text


def test_a_row_says_all_that_a_specialist_starts_the_day_with(browser, me):
    shown = account(
        Stage.INITIATED,
        since=NOW - timedelta(days=26),
        name="Blue Harbor",
        owner=me,
        next_renewal_on=in_days(10),
        forecast="1234.50",
        users_count=1200,
        last_outreach_at=NOW - timedelta(days=20),
        last_reply_at=NOW - timedelta(days=1),
        payment_risk="high",
        sales_contact_kind="AE",
        extended_until=in_days(4),
    )
    shown.add_note("Hello", by=me, now=NOW)
    shown.add_task("Call", in_days(-2), by=me, now=NOW)
    for name in ("EU", "Fast", "Startup"):
        AccountLabel.objects.create(account=shown, label=Label.objects.create(name=name))
    Call.objects.create(
        account=shown,
        external_id="c",
        starts_at=NOW + timedelta(days=3),
        ends_at=NOW + timedelta(days=3, hours=1),
    )
    assert row(browser.get("/"), "Blue Harbor") == [
        "Blue Harbor Replied Call 24 Nov Risk high +2",
        "1 Dec · 10 d",
        "2. Onboarding Initiated 26 d, 5 over",
        "$1,234",
        "Ann Ames",
        "1 Nov",
        "19 Nov, 2 d late",
        "1",
        "1,200",
        "EU, Fast +1",
        "",
    ]


def test_another_filter_is_answered_by_the_list_alone(browser):
    account(Stage.NEW, name="Shown")
    account(Stage.INITIATED, name="Not asked for")
    whole = browser.get("/?stage=new")
    alone = browser.get("/?stage=new", headers={"HX-Target": "div#daily"})
    assert names(alone) == names(whole) == ["Shown"]
    ids = [set(re.findall(' id="([^"]+)"', answer.text)) for answer in (alone, whole)]
    assert ids[1] - ids[0] == {
        *(
            "count-tasks",
            "count-alerts",
            "count-events",
            "count-notices",
            "find",
            "all-pages",
            "me",
            "main",
            "rw",
        ),
        *("picked", "row-actions", "row-more", "form"),
        *("toasts", "keys", "keys-title", "keys-told", "palette", "found"),
    }


def test_an_account_nobody_wrote_to_says_by_when(browser):
    account(Stage.NEW, name="Ahead", next_renewal_on=in_days(17))
    account(Stage.NEW, name="Today", next_renewal_on=in_days(14))
    account(Stage.NEW, name="Late", since=NOW - timedelta(days=9), next_renewal_on=in_days(60))
    answer = browser.get("/")
    assert [row(answer, name)[5] for name in ("Ahead", "Today", "Late")] == [
        "Write by 24 Nov",
        "Write today",
        "Write now, 2 d late",
    ]


def test_days_at_a_stage_turn_amber_past_its_limit_and_red_a_good_deal_past_it():
    at = {days: stay(Stage.NEW, NOW - timedelta(days=days), NOW) for days in (0, 7, 8, 10, 11)}
    assert at == {
        0: Word("0 d"),
        7: Word("7 d"),
        8: Word("8 d, 1 over", "wait"),
        10: Word("10 d, 3 over", "wait"),
        11: Word("11 d, 4 over", "bad"),
    }
    assert stay(Stage.PAID_CALL, NOW - timedelta(days=400), NOW) == Word("400 d")


def test_the_runway_runs_from_thirty_days_out_to_the_renewal():
    at = [runway_at(days) for days in (400, 30, 14, 10, 0, -5)]
    assert at == sorted(at)
    assert (at[0], at[1]) == (4, 4)
    assert at[-2:] == [RUNWAY_WIDTH - 4] * 2


def test_the_piles_count_what_their_links_show(browser, me):
    account(Stage.NEW, name="New and due", next_renewal_on=in_days(3), owner=me)
    account(Stage.NEW, name="New", next_renewal_on=in_days(90))
    account(Stage.INITIATED, name="Answered", last_outreach_at=NOW - timedelta(days=2), last_reply_at=NOW)
    account(Stage.NEW, name="Put off", next_renewal_on=in_days(3), owner=me, snoozed_until=in_days(1))
    account(Stage.AWAITING_FINAL_OUTREACH, name="Final").add_task("Send it", TODAY, by=None, now=NOW)
    alerted = account(Stage.INITIATED, name="Alerted")
    Alert.objects.create(account=alerted, kind="missed-outreach", text="…", raised_at=NOW)
    alerted.recount()
    closed = account(Stage.CHURNED, name="Closed", owner=me)
    closed.add_task("Never mind", TODAY, by=None, now=NOW)
    answer = browser.get("/")
    piles = re.findall(
        r'<a href="(/[^"]*)"[^>]*>([A-Z][a-z ]+?) <span class="count" id="pile-\w+">(\d+)', answer.text
    )
    assert [(label, int(count)) for _, label, count in piles] == [
        ("New", 2),
        ("Write now", 1),
        ("Replies waiting", 1),
        ("Final outreach due", 1),
        ("Tasks due", 1),
        ("Alerts", 1),
        ("Mine", 1),
        ("Snoozed", 1),
    ]
    for address, _, count in piles:
        shown = browser.get(address)
        assert len(names(shown)) == int(count)
        assert shown.text.count('aria-current="true"') == 1


def test_filters_stand_in_the_address_and_their_chips_take_them_out(browser):
    account(Stage.NEW, name="One", plan="yc")
    account(Stage.INITIATED, name="Two", plan="yc")
    answer = browser.get("/?stage=new&stage=initiated&plan=yc&sort=-name&q=")
    assert names(answer) == ["Two", "One"]
    chips = re.findall(
        r'<a class="chip accent" href="([^"]*)" aria-label="Remove the filter ([^"]*)"', answer.text
    )
    assert [(words, href.replace("&amp;", "&")) for href, words in chips] == [
        ("Stage: 1. New Account", "/?stage=initiated&plan=yc&sort=-name"),
        ("Stage: 2. Onboarding Initiated", "/?stage=new&plan=yc&sort=-name"),
        ("Plan: YC", "/?stage=new&stage=initiated&sort=-name"),
    ]


def test_the_head_of_a_column_sorts_by_it_and_says_so(browser):
    account(Stage.NEW, name="Small", forecast=1)
    account(Stage.NEW, name="Large", forecast=9)
    account(Stage.NEW, name="Unknown")
    answer = browser.get("/?sort=-forecast")
    assert names(answer) == ["Large", "Small", "Unknown"]
    assert (
        '<th scope="col" class="n" aria-sort="descending"><a href="/?sort=forecast">Forecast</a>'
        in answer.text
    )
    assert answer.text.count("aria-sort") == 1
    assert names(browser.get("/?sort=forecast")) == ["Small", "Large", "Unknown"]


def test_the_list_goes_on_by_a_link_and_by_a_part(browser):
    for number in range(120):
        account(Stage.NEW, name=f"N{number:03}", next_renewal_on=in_days(number // 7))
    seen, address = [], "/"
    while address:
        answer = browser.get(address)
        part = browser.get(address.replace("/?", "/daily/rows/?")) if seen else answer
        assert names(part) == names(answer)
        seen += names(answer)
        following = re.search(r'<a href="(/\?cursor=[^"]+)">Next 50', answer.text)
        address = following and following[1].replace("&amp;", "&")
    assert seen == [f"N{number:03}" for number in range(120)]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?q=%00", "The search was ignored: Null characters are not allowed."),
        ("?sort=password", "Sort order “password” is not known here, so it was ignored."),
        ("?page=-1", "There is no filter “page”, so it was ignored."),
        ("?owner=" + "9" * 20, "Owner “99999999999999999999” is not known here, so it was ignored."),
        ("?cursor=x", "That page of the list is not there any more; this is the first one."),
        ("?stage=%3Cscript%3E", "Stage “&lt;script&gt;” is not known here, so it was ignored."),
    ],
)
def test_a_broken_address_shows_the_list_with_a_notice(browser, query, sentence):
    account(Stage.NEW, name="Still here")
    answer = browser.get(f"/{query}")
    assert (answer.status_code, names(answer)) == (200, ["Still here"])
    assert sentence in answer.text.replace("&#39;", "'")


def test_a_hundred_unknown_filters_are_not_a_hundred_notices(browser):
    answer = browser.get("/?" + "&".join(f"x{n}=1" for n in range(100)))
    assert answer.text.count('class="notice') == 3


def test_an_empty_list_offers_the_next_step(browser):
    assert "Accounts appear here once they enter the pipeline." in browser.get("/").text
    assert "Show all open accounts" in browser.get("/?q=nothing").text


def test_a_viewer_sees_the_list_and_no_actions(client):
    client.force_login(user("viewer"))
    shown = account(Stage.NEW, name="Seen")
    answer = client.get("/")
    assert names(answer) == ["Seen"]
    assert "data-form=" not in answer.text
    assert "/move/" not in client.get(f"/accounts/{shown.pk}/").text


def test_names_that_are_code_stay_words(browser):
    made = account(Stage.NEW, name='<img src=x onerror="alert(1)"> {{ 7*7 }}')
    made.add_note("<script>alert(1)</script>", by=None, now=NOW)
    for address in ("/", f"/accounts/{made.pk}/", f"/accounts/{made.pk}/forms/move/?from=list"):
        answer = browser.get(address)
        assert "<img" not in answer.text
        assert "<script>alert" not in answer.text
        assert "{{ 7*7 }}" in answer.text


def edit(browser, of, what, **values):
    return browser.post(f"/accounts/{of.pk}/{what}/", {"from": "list", **values})


def undone(browser, answer):
    undo = toast(answer)["undo"]
    return browser.post(undo["url"], undo["values"])


def test_an_owner_given_in_the_list_comes_back_with_the_row_and_undo_takes_it_back(browser, me):
    dan = user(first_name="Dan", last_name="Ohm")
    shown = account(Stage.NEW, name="Blue Harbor", owner=dan)
    answer = edit(browser, shown, "assign", owner=me.pk, seen=shown.changed_at.isoformat())
    assert (answer.status_code, row(answer, "Blue Harbor")[4]) == (200, "Ann Ames")
    assert toast(answer)["text"] == "Blue Harbor: owner Ann Ames."
    answer = undone(browser, answer)
    assert (answer.status_code, row(answer, "Blue Harbor")[4]) == (200, "Dan Ohm")
    answer = edit(browser, shown, "assign", owner="")
    assert row(answer, "Blue Harbor")[4] == ""
    undone(browser, answer)
    assert Account.objects.get(pk=shown.pk).owner == dan


def test_labels_are_ticked_in_the_list_all_at_once_and_undo_takes_them_back(browser):
    beta, eu, fast = (Label.objects.create(name=name) for name in ("Beta", "EU", "Fast"))
    shown = account(Stage.NEW, name="Blue Harbor")
    shown.labels.set([beta])
    form = browser.get(f"/accounts/{shown.pk}/forms/labels/?from=list").text
    assert re.findall(r'value="(\d+)" checked', form) == [str(beta.pk)]
    seen = shown.changed_at.isoformat()
    answer = edit(browser, shown, "labels", labels=[eu.pk, fast.pk], seen=seen)
    assert (answer.status_code, row(answer, "Blue Harbor")[9]) == (200, "EU, Fast")
    assert toast(answer)["text"] == "Blue Harbor: labels EU, Fast."
    undone(browser, answer)
    assert list(shown.labels.all()) == [beta]
    answer = edit(browser, shown, "labels")
    assert toast(answer)["text"] == "Blue Harbor: labels none."
    undone(browser, answer)
    assert list(shown.labels.all()) == [beta]


def test_whoever_edits_a_cell_second_sees_both_values_and_the_row_as_it_is(browser):
    beta, eu = Label.objects.create(name="Beta"), Label.objects.create(name="EU")
    shown = account(Stage.NEW, name="Blue Harbor")
    seen = shown.changed_at.isoformat()
    shown.relabel(by=user(), now=NOW + timedelta(seconds=5), labels=[beta])
    before = snapshot(shown)
    answer = edit(browser, shown, "labels", labels=[eu.pk], seen=seen)
    said = " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())
    assert answer.status_code == 409
    assert row(answer, "Blue Harbor")[9] == "Beta"
    assert 'hx-target="#form"' in answer.text
    assert "Theirs, as it is now Beta Mine EU Keep mine Take theirs" in said
    assert (snapshot(shown), list(shown.labels.all())) == (before, [beta])
    kept = dict(re.findall(r'name="(labels|seen|from)" value="([^"]*)"', answer.text.replace("&#43;", "+")))
    assert kept["from"] == "list"
    assert edit(browser, shown, "labels", **kept).status_code == 200
    assert list(shown.labels.all()) == [eu]


@pytest.mark.parametrize("labels", [["999999"], ["x"], ["1,x"], ["9" * 30]])
def test_labels_that_are_not_there_are_refused_and_change_nothing(browser, labels):
    shown = account(Stage.NEW)
    shown.labels.set([Label.objects.create(name="Beta")])
    before = snapshot(shown)
    answer = edit(browser, shown, "labels", labels=labels)
    assert (answer.status_code, toast(answer)["text"]) == (422, "One of these labels is not there any more.")
    assert (snapshot(shown), [label.name for label in shown.labels.all()]) == (before, ["Beta"])


def test_a_risk_nobody_has_assessed_any_more_needs_no_reason(browser):
    shown = account(Stage.NEW)
    answer = edit(browser, shown, "risk", payment_risk="high", payment_risk_reason="Two cards failed.")
    assert answer.status_code == 200
    assert undone(browser, answer).status_code == 200
    assert Account.objects.filter(pk=shown.pk, payment_risk="", payment_risk_reason="").exists()


@pytest.mark.parametrize(
    ("role", "edits", "forms"),
    [
        ("viewer", 0, ()),
        ("revenue", 0, ("risk",)),
        (
            "specialist",
            4,
            ("write", "move", "note", "task", "risk", "assign", "labels", "claim", "snooze", "copy"),
        ),
    ],
)
def test_only_who_may_edit_is_offered_it(client, role, edits, forms):
    client.force_login(user(role))
    shown = account(Stage.NEW)
    text = client.get("/").text
    assert text.count("data-edits=") == edits
    assert tuple(re.findall(r'data-form="(\w+)"', text)) == forms
    for name in ("assign", "labels", "risk"):
        status = 200 if name in forms else 403
        assert client.get(f"/accounts/{shown.pk}/forms/{name}/").status_code == status
        if name not in forms:
            assert edit(client, shown, name).status_code == 403


def test_the_forms_of_a_note_and_a_task_are_fetched_once_for_whoever_may_fill_them_in(browser, client, me):
    shown = account(Stage.NEW)
    page = browser.get("/").text
    assert 'data-keeps="/daily/forms/"' in page
    assert 'id="form-' not in page
    answer = browser.get("/daily/forms/")
    for name in ("note", "task"):
        form = answer.text.split(f'<template id="form-{name}"')[1].split("</template>")[0]
        assert f'hx-post="/accounts/0/{name}/"' in form
        assert f'data-draft="{name}:0"' in form
        assert '<input type="hidden" name="from" value="list">' in form
    assert f'<option value="{me.pk}" selected>' in answer.text
    assert answer.headers["Cache-Control"] == "private, max-age=60"
    assert "Cookie" in answer.headers["Vary"]
    assert "no-store" in browser.get(f"/accounts/{shown.pk}/forms/move/").headers["Cache-Control"]
    client.force_login(user("viewer"))
    assert "data-keeps" not in client.get("/").text
    assert "<template" not in client.get("/daily/forms/").text


def test_the_filter_menu_is_fetched_once_for_every_address_which_carries_what_is_chosen(browser):
    Label.objects.create(name="EU cloud")
    answer = browser.get("/filters/?plan=yc")
    assert '<option value="EU cloud">' in answer.text
    assert not re.search(" (checked|selected)", answer.text)
    assert answer.headers["Cache-Control"] == "private, max-age=60"
    for address in ("/", "/board/"):
        text = browser.get(f"{address}?stage=new&plan=yc&fresh=1").text
        assert "EU cloud" not in text
        carrying = text.split('<span class="carried"')[1].split("</span>")[0]
        carried = re.findall(r'<input type="hidden" name="(stage|plan)" value="(\w+)">', carrying)
        assert carried == [("stage", "new"), ("plan", "yc")]


def test_a_move_answers_with_its_row_alone_and_the_counts_come_with_what_has_changed(browser):
    shown = account(Stage.NEW, name="Blue Harbor")
    answer = edit(browser, shown, "move", to="initiated", version=1)
    assert answer.text.count("<hx-partial") == 1
    assert "pile-" not in answer.text
    answer = browser.get(f"/daily/changed/?ids={shown.pk}")
    assert 'id="pile-new">0</span>' in answer.text
    assert row(answer, "Blue Harbor")[2].startswith("2. Onboarding Initiated")


def costs(browser, address):
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = browser.get(address)
    assert answer.status_code == 200
    return len(queries), len(answer.content)


def fill(count, me):
    label = Label.objects.create(name=f"L{count}")
    for number in range(count):
        made = account(Stage.NEW, name=f"Account {number}", owner=me if number % 2 else user())
        made.add_task("Do", in_days(number - 3), by=me, now=NOW)
        Contact.objects.create(account=made, email=f"a{number}@x.example")
        AccountLabel.objects.create(account=made, label=label)
        Call.objects.create(
            account=made,
            external_id=f"c{count}-{number}",
            starts_at=NOW + timedelta(days=1),
            ends_at=NOW + timedelta(days=2),
        )


def test_more_rows_cost_no_more_queries_and_fifty_stay_light(browser, me):
    browser.get("/")
    fill(2, me)
    few = [
        costs(browser, address)[0] for address in ("/", "/?sort=-owner&q=Account&label=L2", "/daily/rows/")
    ]
    fill(50, me)
    many = [costs(browser, address) for address in ("/", "/?sort=-owner&q=Account&label=L50", "/daily/rows/")]
    # A full first page needs not even look for rows without a value.
    assert all(queries <= least for (queries, _), least in zip(many, few, strict=True))
    assert max(few) <= 15
    assert many[2][1] < 25_000, "fifty rows, alone"


def test_an_accounts_page_costs_no_more_with_more_history(browser, me):
    shown = account(Stage.NEW)
    before, _ = costs(browser, f"/accounts/{shown.pk}/")
    for number in range(5):
        other = user()
        shown.add_note("…", by=other, now=NOW)
        shown.add_task("…", in_days(number), by=other, now=NOW, assignee=other)
        shown.move(Stage.CHURNED, by=other, now=NOW, cause="list", reason="…")
        shown.move(Stage.NEW, by=other, now=NOW, cause="list", reason="…")
    after, _ = costs(browser, f"/accounts/{shown.pk}/")
    assert after == before <= 36


def test_an_accounts_page_tells_what_happened_and_what_can_be_done(browser, me):
    shown = account(Stage.INITIATED, name="Blue Harbor", next_renewal_on=in_days(20))
    shown.move(Stage.SALES_HANDOFF, by=me, now=NOW, cause="board", reason="Wants a contract.")
    answer = browser.get(f"/accounts/{shown.pk}/")
    said = " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())
    assert "Ann Ames moved it to 6c. Sales Handoff from 2. Onboarding Initiated Wants a contract." in said
    assert "Back from Sales" in said
    assert "“3b. Engaged — Call Booked” is reached from" in said
    assert Policy.at(NOW).today == TODAY


def test_chosen_columns_say_what_they_are_where_no_head_is_shown_and_the_usual_ones_cost_nothing(browser):
    of = account(Stage.NEW)
    Account.objects.filter(pk=of.pk).update(notes_count=3)
    chosen = browser.get("/?columns=account,notes,bills,renewal").text
    assert '<td class="n" data-l="Notes">3<td class="n" data-l="Bills paid"><td>' in chosen
    assert "data-l" not in browser.get("/").text
    part = browser.get(f"/daily/changed/?ids={of.pk}", headers={"Columns": "account,notes"})
    assert 'data-l="Notes">3<' in part.text
