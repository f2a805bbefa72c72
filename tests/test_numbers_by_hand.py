"""The data set of docs/metrics.md: every number that is worked out there is what the page shows."""

import csv
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client

from apps.crm.metrics import METRICS
from apps.crm.metrics.words import words
from apps.crm.models import Account, Alert, Bill, Entry, Policy, StageTransition, Survey, User
from apps.crm.pipeline import Stage
from apps.outbox.models import Message
from apps.playbooks import weekly
from apps.playbooks.digest import Reader
from tests.apis import Api
from tests.factories import NOW, account, call, in_days, user

pytestmark = pytest.mark.django_db

S = Stage
ADDRESSES = {
    "retention": "/reports/",
    "pipeline": "/reports/pipeline/",
    "team": "/reports/team/",
    "revenue": "/revenue/",
}
STORIES = {
    "Acme": [
        *(("7-02", S.NEW), ("7-04", S.INITIATED), ("7-06", S.ENGAGED_EMAIL), ("7-08", S.CALL_BOOKED)),
        *(
            ("7-10", S.INTRO_CALL_COMPLETED),
            ("7-20", S.AWAITING_FINAL_OUTREACH),
            ("7-25", S.ONBOARDED_ENGAGED),
        ),
    ],
    "Birch": [
        *(("7-03", S.NEW), ("7-13", S.INITIATED), ("7-22", S.AWAITING_FINAL_OUTREACH)),
        ("8-01", S.ONBOARDED_NO_ENGAGEMENT),
    ],
    "Cedar": [
        *(("7-05", S.NEW), ("7-08", S.INITIATED), ("7-20", S.AWAITING_FINAL_OUTREACH)),
        ("7-26", S.ONBOARDED_NO_ENGAGEMENT),
    ],
    "Delta": [],
    "Elm": [("7-10", S.NEW), ("7-12", S.SALES_HANDOFF)],
    "Fir": [("8-20", S.NEW), ("8-24", S.INITIATED)],
    "Gale": [("8-22", S.NEW), ("8-25", S.INITIATED), ("9-30", S.CHURNED)],
    "Hazel": [("11-16", S.NEW)],
    "Ivy": [("11-09", S.NEW), ("11-12", S.INITIATED)],
}
# Account, months of the first to the last day of the period, amount, status and failed attempts.
BILLS = [
    *(("Acme", "7-01", 200), ("Acme", "8-01", 250), ("Acme", "9-01", 250), ("Acme", "10-01", 300)),
    *(("Birch", "7-01", 150), ("Birch", "8-01", 0), ("Birch", "10-01", 100)),
    *(
        ("Cedar", "7-01", 120),
        ("Cedar", "8-01", 120),
        ("Cedar", "9-01", 120),
        ("Cedar", "10-01", 120, "void"),
    ),
    *(("Delta", "7-01", 500), ("Delta", "10-01", 500), ("Elm", "7-01", 300), ("Elm", "10-01", 330)),
    *(("Fir", "7-15", 400), ("Fir", "8-15", 400), ("Fir", "9-15", 400, "open", 2), ("Fir", "10-15", 0)),
    *(("Gale", "8-01", 100), ("Acme", "11-01", 310, "upcoming"), ("Hazel", "11-01", 99, "upcoming")),
    *(("Elm", "11-01", 330, "upcoming"), ("Fir", "11-15", 380, "upcoming")),
]


def moment(day):
    month, number = day.split("-")
    return datetime(2026, int(month), int(number), 12, tzinfo=UTC)


def next_month(day):
    return date(day.year + day.month // 12, day.month % 12 + 1, day.day)


def bill(of, begins, amount, status="paid", attempts=0):
    starts = moment(begins).date()
    ends = next_month(starts)
    return Bill.objects.create(
        account=of,
        external_id=f"in_{of.name}-{begins}",
        period_start=starts,
        period_end=ends,
        due_on=ends,
        amount=amount,
        currency="EUR" if of.name == "Elm" else "USD",
        status=status,
        attempts=attempts,
        reported_at=NOW,
    )


@pytest.fixture
def told():
    sanna = user("specialist", first_name="Sanna", last_name="Koski")
    made = {}
    for name, moves in STORIES.items():
        made[name] = one = account(name=name, external_id=name, next_renewal_on=date(2026, 12, 1))
        for day, stage in moves:
            one.move(stage, by=sanna, now=moment(day), cause="list", reason="Because.")
    for of, *facts in BILLS:
        bill(made[of], *facts)
    Account.objects.filter(name__in=["Fir", "Hazel", "Ivy"]).update(owner=sanna)
    Account.objects.filter(name="Ivy").update(next_renewal_on=date(2026, 12, 5))
    Account.objects.filter(name="Fir").update(credit_use=50)
    for name, risk, day in (("Acme", "low", "9-03"), ("Fir", "medium", "11-03")):
        made[name].edit(
            now=moment(day), payment_risk=risk, payment_risk_at=moment(day), payment_risk_by=sanna
        )
    fir = made["Fir"]
    mistaken = fir.move(S.ENGAGED_EMAIL, by=sanna, now=moment("8-25"), cause="list")
    fir.undo(transition_id=mistaken.pk, by=sanna, now=moment("8-25") + timedelta(minutes=1))
    made["Hazel"].add_task("Write", in_days(2), by=sanna, now=NOW, assignee=sanna)
    call(made["Ivy"], "", starts_at=moment("11-18"), status="held").add_host(sanna)
    closing = StageTransition.objects.get(to_stage=S.ONBOARDED_ENGAGED)
    asked = moment("7-27")
    Survey.objects.create(
        account=made["Acme"],
        closing=closing,
        asked_at=asked,
        score=9,
        answered_at=asked,
        changed_at=asked,
        answers=1,
    )
    Alert.objects.create(
        account=fir, kind="failed-payment", subject="b", raised_at=moment("10-16"), assignee=sanna
    )
    Alert.objects.create(
        account=made["Ivy"], kind="missed-outreach", raised_at=moment("11-10"), resolved_at=moment("11-12")
    )
    Entry.objects.bring_up_to_date()
    return made


class Tables(HTMLParser):
    """The tables of a page by the heading above them: rows of words, and the links in them."""

    def __init__(self, html):
        super().__init__()
        self.found, self.links, self._cell, self._head = {}, {}, None, None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "h2" and attrs.get("id") in METRICS:
            self._name = attrs["id"]
        elif tag == "table":
            self.found[self._name] = []
        elif tag == "tr" and self.found:
            self.found[self._name].append([])
        elif tag in ("td", "th") and self.found:
            self._cell = []
        elif tag == "a" and self._cell is not None:
            row = len(self.found[self._name]) - 1
            self.links[self._name, row, len(self.found[self._name][-1])] = attrs["href"]

    def handle_data(self, data):
        if self._cell is not None:
            self._cell.append(data)

    def handle_endtag(self, tag):
        if tag in ("td", "th") and self._cell is not None:
            self.found[self._name][-1].append(" ".join("".join(self._cell).split()))
            self._cell = None


def page(of, role="viewer"):
    client = Client()
    client.force_login(user(role, date_joined=moment("7-01")))
    answer = client.get(ADDRESSES[of])
    assert answer.status_code == 200
    return client, Tables(answer.text)


def worked_out():
    text = (settings.BASE_DIR / "docs/metrics.md").read_text()
    found = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        lines = [line for line in part.splitlines() if line.startswith("| ")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        found[part.splitlines()[0]] = [row for row in cells if not set("".join(row)) <= {"-"}]
    return found


@pytest.mark.parametrize("name", METRICS)
@time_machine.travel(NOW, tick=False)
def test_the_page_shows_what_is_worked_out_by_hand(told, name):
    _, tables = page(METRICS[name].page)
    assert tables.found[name] == worked_out()[METRICS[name].label]


@pytest.mark.parametrize("of", ADDRESSES)
@time_machine.travel(NOW, tick=False)
def test_every_number_of_a_page_leads_to_its_accounts(told, of):
    (client, tables), several = page(of), set()
    assert tables.links
    for (name, row, column), link in tables.links.items():
        answer = client.get(link)
        assert answer.status_code == 200, link
        assert "was ignored" not in answer.text
        listed = int(re.search(r'role="status">(\d+) account', answer.text)[1])
        said = tables.found[name][row][column].replace(",", "")
        # An account has several bills and stays: then both are said. Sums say nothing of how many there are.
        if said.isdigit() and int(said) != listed:
            assert f" ({said} in {listed})" in answer.text, link
            several.add(name)
        assert listed
    assert several <= {"bills-due", "bills-by-risk", "time-in-stage"}


@time_machine.travel(NOW, tick=False)
def test_the_accounts_behind_a_number_are_named(told):
    client, _ = page("retention")
    lost = client.get("/", {"cell": "retention:lost:2026-07-01:entered"})
    assert [name in lost.text for name in ("Cedar", "Acme", "Birch")] == [True, False, False]
    assert "Counted in: Three-month logo retention: Lost, Jul 2026, Entered the pipeline" in lost.text


@pytest.mark.parametrize("name", ["x", "retention:lost", "time-in-stage:median:new", "a\0b", "ndr:zz:a:b"])
@time_machine.travel(NOW, tick=False)
def test_a_number_that_no_page_gave_out_is_ignored_with_a_notice(told, name):
    client, _ = page("retention")
    answer = client.get("/", {"cell": name})
    assert answer.status_code == 200
    assert "was ignored" in answer.text


FIGURES = {"share": Decimal, "money": Decimal, "count": int, "days": int, "may": int}


def in_words(metric, row):
    """A row of a file, as a page says its figures."""
    named = row.get("currency", row.get("who", ""))
    said = []
    for column in metric.columns:
        cell, read = row[column.name], FIGURES.get(column.kind, str)
        value = read(cell) if cell or column.kind == "text" else None
        said.append(words(column.kind, value, named if named.isupper() else "USD"))
    return said


@time_machine.travel(NOW, tick=False)
def test_a_number_is_the_same_on_its_page_in_its_file_and_by_the_api(told):
    client, lead = Client(), user("lead")
    client.force_login(lead)
    tables = {of: Tables(client.get(address).text).found for of, address in ADDRESSES.items()}
    for name, metric in METRICS.items():
        content = b"".join(client.get(f"/reports/{name}/csv/").streaming_content).decode()
        file = list(csv.DictReader(content.removeprefix("\ufeff").splitlines()))
        told_by_api = [row["values"] for row in Api(lead).get(f"/metrics/{name}").json()["rows"]]
        assert [{key: value or "" for key, value in row.items()} for row in told_by_api] == file, name
        _, *lines = tables[metric.page][name]
        assert [line[len(metric.keys) :] for line in lines[: len(file)]] == [
            in_words(metric, row) for row in file
        ], name


@time_machine.travel("2026-11-23T08:30:00Z", tick=False)
def test_leads_are_told_the_week_once_on_monday_morning_by_their_own_clock(told):
    there = datetime.now(UTC)
    lead, later = (
        user("lead", date_joined=NOW - timedelta(days=9), time_zone=zone)
        for zone in ("UTC", "America/New_York")
    )
    user("specialist", date_joined=NOW - timedelta(days=9))
    reader = Reader(User.objects.get(pk=lead.pk), Policy.at(there))
    assert weekly.tell(now=there) == 1
    assert weekly.tell(now=there) == 0
    # Another worker, that had read who is to be told before the first one wrote.
    assert weekly.write(reader) is False
    [mail] = Message.objects.filter(kind="weekly")
    assert (mail.to, mail.subject) == (lead.email, "The numbers of the week, 23 November")
    for said in (
        "Jul 2026: 66.7%, 2 of 3 kept; goal missed by 1",
        "Aug 2026: 1 of 2 kept so far; goal missed by 1",
        "Week of 16 Nov: 1 entered, 0 outreaches, 0 calls held, 0 closed",
        "Entered in Nov 2026: 100% of 1 in week one, 50% of 2 by T-14",
        "Week of 30 Nov: $409.00 due, $397.85 risk-adjusted",
    ):
        assert said in mail.text
    assert weekly.tell(now=there + timedelta(hours=5)) == 1
    assert Message.objects.filter(kind="weekly", to=later.email).count() == 1


def weekly_mail():
    return Message.objects.get(kind="weekly")


@time_machine.travel("2026-11-23T08:30:00Z", tick=False)
def test_the_mail_of_the_week_says_in_html_what_it_says_in_text_and_how_to_end_it(told, settings):
    settings.BASE_URL = "https://onramp.test"
    lead = user("lead", date_joined=NOW - timedelta(days=9))
    weekly.tell(now=datetime.now(UTC))
    mail = weekly_mail()
    seen = " ".join(re.sub("<[^>]+>", " ", mail.html.partition("</style>")[2]).split())
    lines = [line for line in mail.text.splitlines() if line.startswith("- ")]
    assert len(lines) == 9
    for line in lines:
        name, _, words = line.removeprefix("- ").partition(": ")
        assert f"{name} {words}" in seen, line
    for page in ("reports/", "reports/pipeline/", "reports/team/", "revenue/"):
        assert f"https://onramp.test/{page}\n" in mail.text
        assert f'href="https://onramp.test/{page}"' in mail.html
    for body in (mail.text, mail.html):
        assert "https://onramp.test/notices/#mail" in body
    assert mail.to == lead.email


def test_the_mail_of_the_week_is_for_leads_who_want_it_from_eight_on_monday():
    monday, joined = datetime.fromisoformat("2026-11-23T08:00:00Z"), NOW - timedelta(days=9)
    for role in ("viewer", "specialist", "revenue"):
        user(role, date_joined=joined)
    for fields in ({"digest": False}, {"email": ""}, {"is_active": False}):
        user("lead", date_joined=joined, **fields)
    assert weekly.tell(now=monday) == 0
    one = user("lead", date_joined=joined)
    for other in (timedelta(minutes=-1), timedelta(days=-1), timedelta(days=1)):
        assert weekly.tell(now=monday + other) == 0
    assert weekly.tell(now=monday) == 1
    one.groups.set([Group.objects.get(name="specialist")])
    assert weekly.tell(now=monday + timedelta(weeks=1)) == 0
