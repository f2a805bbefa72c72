"""Many alerts at once: what is changed, who is told to have been first, and that Undo puts all of it back."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apps.crm.models import Account, Alert
from apps.crm.models.alert import ALERT_KINDS, AlertKind
from apps.crm.pipeline import Stage
from apps.playbooks.registry import PLAYBOOKS
from apps.playbooks.then import RaiseAlert
from apps.web.views.alerting import MANY
from tests.answers import toast
from tests.factories import NOW, account, user

pytestmark = pytest.mark.django_db

LATER = timezone.now().date() + timedelta(days=3)
VALUES = {
    "acknowledge": {},
    "snooze": {"until": str(LATER)},
    "resolve": {"resolution": "Wrote to them"},
    "assign": {"assignee": ""},
}


@pytest.fixture
def me():
    return user(first_name="Mia", last_name="Berg")


def raised(many, **fields):
    """So many open alerts, each of its own account, with the accounts' counts right."""
    made = [
        Alert.objects.create(
            **{
                "account": account(Stage.NEW),
                "kind": "failed-payment",
                "text": "Look.",
                "raised_at": NOW,
                **fields,
            }
        )
        for _ in range(many)
    ]
    Account.objects.all().recount()
    return made


def post(client, action, alerts, /, query="", **values):
    ids = {"ids": ",".join(str(alert.pk) for alert in alerts)} if alerts else {}
    return client.post(reverse(f"web:alerts_{action}") + query, {**ids, **values})


def kept():
    """Every alert and every account."""
    return list(Alert.objects.order_by("pk").values()), list(Account.objects.order_by("pk").values())


def undone(client, answer):
    undo = toast(answer)["undo"]
    return client.post(undo["url"], undo["values"])


def facts():
    names = (
        "pk",
        "acknowledged_by",
        "snoozed_until",
        "assignee",
        "resolved_at",
        "resolution",
        "account__open_alerts",
    )
    return list(Alert.objects.order_by("pk").values(*names))


@pytest.mark.parametrize(
    ("action", "words", "changed"),
    [
        ("acknowledge", "3 alerts are acknowledged.", {"acknowledged_by__first_name": "Mia"}),
        ("snooze", "3 alerts are snoozed until ", {"snoozed_until": LATER}),
        ("resolve", "3 alerts are resolved.", {"resolution": "Wrote to them", "account__open_alerts": 0}),
        ("assign", "3 alerts are nobody’s now.", {"assignee": None}),
    ],
)
def test_the_chosen_ones_are_changed_and_undo_puts_them_back(browser, me, action, words, changed):
    dan = user(first_name="Dan")
    alerts, other = [*raised(2, assignee=dan), *raised(1, assignee=me)], raised(1, assignee=me)[0]
    before = facts()
    answer = post(browser, action, alerts, **VALUES[action])
    assert (answer.status_code, toast(answer)["text"].startswith(words)) == (200, True)
    assert {*Alert.objects.filter(**changed)} >= {*alerts}
    assert not Alert.objects.filter(pk=other.pk, **changed).exists()
    back = undone(browser, answer)
    assert (back.status_code, facts()) == (200, before)


def test_all_that_the_filter_shows_is_changed_and_nothing_else(browser):
    alerts, others = raised(2), raised(2, kind="large-invoice")
    answer = post(browser, "resolve", [], "?kind=failed-payment", all="1", resolution="Called them")
    assert toast(answer)["text"] == "2 alerts are resolved."
    assert {*Alert.objects.open()} == {*others}
    assert 'hx-target="#alert-rows"' in answer.text
    assert undone(browser, answer).status_code == 200
    assert {*Alert.objects.open()} == {*alerts, *others}


def test_all_but_some_is_changed_without_them(browser):
    first, second, third = raised(3)
    answer = post(browser, "resolve", [], all="1", but=f"{second.pk}", resolution="Called them")
    assert toast(answer)["text"] == "2 alerts are resolved."
    assert {*Alert.objects.open()} == {second}
    wrong = post(browser, "resolve", [], all="1", but="x", resolution="Called them")
    assert (wrong.status_code, {*Alert.objects.open()}) == (422, {second})
    assert not Alert.objects.open().filter(pk__in=[first.pk, third.pk]).exists()


def test_no_more_than_500_are_changed_at_once_and_the_rest_is_counted(browser):
    of = account(Stage.NEW)
    Alert.objects.bulk_create(
        Alert(account=of, kind="failed-payment", subject=str(number), raised_at=NOW) for number in range(520)
    )
    with CaptureQueriesContext(connection) as made:
        answer = post(browser, "resolve", [], all="1", resolution="Called them")
    assert toast(answer)["text"] == "500 alerts are resolved. 20 more are like that."
    assert len(made) < 30
    assert Alert.objects.open().count() == 20


@pytest.mark.parametrize("action", VALUES)
def test_the_statements_of_a_change_do_not_grow_with_the_alerts(browser, action):
    def queries(alerts):
        with CaptureQueriesContext(connection) as made:
            assert post(browser, action, alerts, **VALUES[action]).status_code == 200
        return len(made)

    dan = user()
    assert queries(raised(2, assignee=dan)) >= queries(raised(12, assignee=dan))


def test_who_was_first_is_told_and_keeps_what_they_did(browser, me):
    dan = user(first_name="Dan", last_name="Ohm")
    alerts = raised(4)
    alerts[0].resolve(by=dan, now=NOW, resolution="Called")
    alerts[1].resolve(by=None, now=NOW, resolution="The bill is paid.")
    alerts[2].acknowledge(by=dan, now=NOW)
    answer = post(browser, "acknowledge", alerts)
    assert (answer.status_code, toast(answer)["text"]) == (
        200,
        "1 alert is acknowledged. Left as they are: 1 closed by themselves, 1 resolved by Dan Ohm already,"
        " 1 taken on by Dan Ohm already.",
    )
    alerts[2].refresh_from_db()
    assert alerts[2].acknowledged_by == dan
    before = kept()
    none = post(browser, "resolve", alerts[:2], resolution="Wrote")
    assert (none.status_code, kept()) == (409, before)
    assert (toast(none)["text"].startswith("No alerts are resolved."), "undo" in toast(none)) == (True, False)


def test_undo_leaves_alone_what_somebody_changed_since(browser, me):
    dan, alerts = user(), raised(2, assignee=user())
    answer = post(browser, "assign", alerts, assignee=me.pk)
    Alert.objects.filter(pk=alerts[0].pk).update(assignee=dan)
    assert undone(browser, answer).status_code == 200
    assert list(Alert.objects.order_by("pk").values_list("assignee", flat=True)) == [
        dan.pk,
        alerts[1].assignee_id,
    ]


@pytest.mark.parametrize("action", MANY)
@pytest.mark.parametrize("role", ["viewer", "revenue"])
def test_who_only_reads_changes_nothing(client, role, action):
    client.force_login(user(role))
    alerts = raised(2)
    before = kept()
    answer = post(client, action, alerts, **VALUES.get(action, {}), all="1")
    assert (answer.status_code, kept()) == (403, before)


@pytest.mark.parametrize(
    ("action", "values", "sentence"),
    [
        ("acknowledge", {}, "Choose some alerts first."),
        ("acknowledge", {"ids": "1,x"}, "An id is a whole number."),
        ("acknowledge", {"ids": "9" * 30}, "An id is a whole number."),
        ("acknowledge", {"ids": ",".join(["1"] * 501)}, "Choose 500 alerts at most."),
        ("resolve", {"all": "1"}, "Say in a word what was done."),
        ("snooze", {"all": "1", "until": "2020-01-01"}, "An alert can be snoozed to a day after today."),
        (
            "assign",
            {"all": "1", "assignee": "9" * 20},
            "It can be given to a specialist, a lead or an admin.",
        ),
        ("give-back", {"ids": "1", "was": "x:y"}, "An id is a whole number."),
        ("give-back", {"ids": "1", "was": "1:999999"}, "Somebody named there is not known here."),
    ],
)
def test_bad_input_gets_a_sentence_and_changes_nothing(browser, action, values, sentence):
    raised(2)
    before = kept()
    answer = post(browser, action, [], **values)
    assert (answer.status_code, toast(answer)["text"], kept()) == (422, sentence, before)


def test_the_page_shows_one_accounts_alerts_alone(browser):
    alerts = raised(3)
    of = alerts[1].account
    text = browser.get(f"/alerts/?account={of.pk}").text
    assert text.count('<tr id="alert-') == 1
    assert f"Of {of.name} alone" in text
    for broken in ("x", "0", "9" * 30, "%00"):
        answer = browser.get(f"/alerts/?account={broken}")
        assert (answer.status_code, answer.text.count('<tr id="alert-')) == (200, 3)
        assert "is not known here, so it was ignored." in answer.text
    assert browser.get(f"/alerts/?account={of.pk + 9999}").text.count('<tr id="alert-') == 0


def test_every_playbook_that_raises_an_alert_has_its_kind_in_the_table():
    raising = {playbook.name for playbook in PLAYBOOKS.values() if isinstance(playbook.then, RaiseAlert)}
    assert raising <= {*ALERT_KINDS}


def test_a_kind_that_is_added_to_the_table_is_on_the_page_by_itself(browser, monkeypatch):
    monkeypatch.setitem(ALERT_KINDS, "survey-low", AlertKind("Low score", meaning="info"))
    raised(1, kind="survey-low")
    text = browser.get("/alerts/").text
    assert '<span class="chip info">Low score</span>' in text
    assert 'Low score <span class="count">1</span>' in text
