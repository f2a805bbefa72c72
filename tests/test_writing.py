"""Writing to customers: templates, the form, what sending does and what it refuses."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.crm.letters import FIELDS, LETTERS, Writing, filled_in, gaps_in, likeliest, wrong_with
from apps.crm.models import Alert, Bill, Contact, Outreach, Policy, StageTransition, Template
from apps.crm.pipeline import Stage
from apps.outbox.letters import HOLD
from apps.outbox.models import MAIL, Message
from apps.outbox.send import drain
from tests.answers import toast, undo
from tests.factories import NOW, account, call, in_days, snapshot, user

pytestmark = pytest.mark.django_db


@pytest.fixture
def me():
    return user(first_name="Sam", last_name="Specialist", email="sam@onramp.example")


@pytest.fixture
def shown():
    made = account(
        Stage.NEW,
        name="Blue {Harbor}",
        domain="blue.example",
        forecast="1234.50",
        next_renewal_on=in_days(10),
    )
    made.ann = Contact.objects.create(account=made, email="ann@blue.example", name="Ann Ames", role="Owner")
    made.bob = Contact.objects.create(account=made, email="bob@blue.example", name="Bob")
    return made


def sent(browser, of, **more):
    """The answer to a mail that is written and sent."""
    given = {
        **{"to": [of.ann.pk], "subject": "Your setup", "text": "Hi Ann,\n\nturn it off."},
        **{"way": "onramp", "key": "k1", "version": of.version, "after": 0, "from": "account"},
        **more,
    }
    return browser.post(f"/accounts/{of.pk}/write/", given)


def later():
    """Once a mail is not held to be taken back any more."""
    return timezone.now() + HOLD


def nothing_kept(of, before):
    assert (snapshot(of), Outreach.objects.count(), Message.objects.count()) == (before, 0, 0)


# The templates and their fields


@pytest.mark.parametrize("kind", LETTERS)
def test_every_template_of_the_house_uses_known_fields(kind):
    template = Template.objects.of(kind)
    template.full_clean()
    assert wrong_with(template.subject) == wrong_with(template.body) == ""


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_says_what_is_missing_and_the_text_is_known_to_have_a_gap(field, me):
    bare = Writing(account(name="", next_renewal_on=None), [], user(), Policy.at(NOW))
    text = filled_in(f"Say {{{field}}} now", bare)
    assert text == f"Say [{FIELDS[field].gap}?] now"
    assert gaps_in(text) == [f"[{FIELDS[field].gap}?]"]


def test_the_fields_are_filled_in_from_the_record(shown, me):
    Policy.objects.create(name="booking_link", value="https://book.example/team", starts_on=in_days(-1))
    Bill.objects.create(
        account=shown,
        external_id="b",
        status="open",
        attempts=2,
        amount=80,
        currency="USD",
        period_start=in_days(-30),
        reported_at=NOW,
    )
    call(shown, status="no_show", starts_at=NOW - timedelta(days=1))
    every = " | ".join(f"{{{name}}}" for name in FIELDS if name not in ("observation", "homework"))
    assert filled_in(every, Writing(shown, [shown.ann, shown.bob], me, Policy.at(NOW))).split(" | ") == [
        *("Ann and Bob", "Blue {Harbor}", "blue.example", "1 December", "$1,234", "$80", "$80"),
        *("20 November", "https://book.example/team", "Sam Specialist"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Hi {name}", "There is no field {name}."),
        ("Hi {}", "There is no field {}."),
        ("Hi {contact", "A brace stands alone"),
        ("Hi contact}", "A brace stands alone"),
        ("Hi {{contact}}", "A brace stands alone"),
    ],
)
def test_a_template_with_an_unknown_field_is_refused_in_a_sentence(client, text, says):
    client.force_login(user("lead"))
    answer = client.post("/settings/templates/no-show/", {"subject": "S", "body": text, "seen": ""})
    assert (answer.status_code, Template.objects.count()) == (422, 0)
    assert says in answer.text
    assert f"{text}</textarea>" in answer.text


def test_a_lead_changes_a_template_and_whoever_comes_second_sees_both(client):
    lead = user("lead", first_name="Lea")
    client.force_login(lead)
    address = "/settings/templates/no-show/"
    assert client.post(address, {"subject": "One", "body": "Hi {contact}", "seen": ""}).status_code == 302
    kept = Template.objects.get()
    assert (kept.subject, kept.body, kept.changed_by) == ("One", "Hi {contact}", lead)
    for seen in ("", (kept.changed_at - timedelta(seconds=1)).isoformat()):
        answer = client.post(address, {"subject": "Two", "body": "Mine", "seen": seen})
        assert answer.status_code == 409
        assert "Lea" in answer.text
        assert "Mine</textarea>" in answer.text
        assert f'name="seen" value="{kept.changed_at.isoformat()}"' in answer.text
    kept.refresh_from_db()
    assert kept.subject == "One"
    again = {"subject": "Two", "body": "Mine", "seen": kept.changed_at.isoformat()}
    assert client.post(address, again).status_code == 302
    assert Template.objects.get().subject == "Two"
    restored = client.post(f"{address}restore/", follow=True)
    assert Template.objects.of("no-show").subject == LETTERS["no-show"].subject
    undo(client, restored)
    assert (Template.objects.get().subject, Template.objects.get().body) == ("Two", "Mine")


def test_the_preview_shows_a_real_account_and_what_is_left_to_fill_in(client, shown):
    client.force_login(user("lead", first_name="Lea"))
    asked = {"subject": "For {account}", "body": "Hi {contact}: {observation}", "account": shown.pk}
    answer = client.post("/settings/templates/no-show/preview/", asked)
    assert "For Blue {Harbor}" in answer.text
    assert "Hi Ann: [what you saw in their account?]" in answer.text
    assert "To be filled in before it can be sent" in answer.text


def test_others_read_the_templates_and_change_none(browser):
    assert browser.get("/settings/templates/").status_code == 200
    page = browser.get("/settings/templates/no-show/")
    assert (page.status_code, "Save</button>" in page.text) == (200, False)
    for part in ("", "preview/", "restore/"):
        assert browser.post(f"/settings/templates/no-show/{part}", {"subject": "S"}).status_code == 403
    assert browser.get("/settings/templates/none/").status_code == 404
    assert Template.objects.count() == 0


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        (Stage.NEW, "initial-outreach"),
        (Stage.INITIATED, ""),
        (Stage.INTRO_CALL_COMPLETED, "second-call"),
        (Stage.SECOND_CALL_COMPLETED, "homework"),
        (Stage.AWAITING_FINAL_OUTREACH, "final-outreach"),
    ],
)
def test_the_likeliest_template_is_that_of_the_stage(stage, kind):
    assert likeliest(account(stage)) == kind


def test_what_presses_comes_before_the_stage():
    of = account(Stage.INITIATED)
    call(of, status="no_show")
    assert likeliest(of) == "no-show"
    Alert.objects.create(account=of, kind="failed-payment", text="…", raised_at=NOW)
    of.recount()
    of.refresh_from_db()
    assert likeliest(of) == "failed-payment"


# The form


def test_the_form_is_filled_in_for_the_person_who_decides(browser, shown):
    Contact.objects.filter(pk=shown.bob.pk).update(do_not_contact=True)
    text = browser.get(f"/accounts/{shown.pk}/forms/write/?from=list").text
    assert 'value="initial-outreach" selected' in text
    assert "Hi Ann," in text
    assert f'value="{shown.ann.pk}" data-email="ann@blue.example" checked>' in text
    assert f'value="{shown.bob.pk}" data-email="bob@blue.example" disabled>' in text
    assert "Do not contact" in text
    assert 'value="Blue {Harbor}: one thing about your setup"' in text


def test_the_form_costs_no_more_with_more_people(browser, shown):
    def queries():
        with CaptureQueriesContext(connection) as asked:
            browser.get(f"/accounts/{shown.pk}/forms/write/")
        return len(asked)

    few = queries()
    for number in range(20):
        Contact.objects.create(account=shown, email=f"p{number}@blue.example")
    assert queries() == few


def test_another_template_comes_as_words_for_the_people_who_are_chosen(browser, shown):
    asked = {"template": "second-call", "to": [shown.ann.pk, shown.bob.pk]}
    given = browser.get(f"/accounts/{shown.pk}/write/text/", asked).json()
    assert (given["names"], given["subject"]) == ("Ann and Bob", "A second session for Blue {Harbor}")
    assert given["text"].startswith("Hi Ann and Bob,")
    empty = browser.get(f"/accounts/{shown.pk}/write/text/", {"template": "none", "to": "x"}).json()
    assert empty == {"subject": "", "text": "", "names": ""}


# Sending


def test_a_mail_through_onramp_counts_as_the_outreach_and_is_kept_with_its_text(browser, shown, me):
    answer = sent(browser, shown, to=[shown.ann.pk, shown.bob.pk], template="initial-outreach")
    shown.refresh_from_db()
    kept = Outreach.objects.get()
    assert answer.status_code == 200
    assert toast(answer)["text"].startswith(
        "On its way to ann@blue.example, bob@blue.example. Blue {Harbor} moved"
    )
    assert (shown.stage, shown.last_outreach_at, kept.by, kept.way) == (
        Stage.INITIATED,
        kept.at,
        me,
        "onramp",
    )
    assert (kept.to, kept.text) == ("ann@blue.example, bob@blue.example", "Hi Ann,\n\nturn it off.")
    assert [(m.to, m.kind, m.automatic, m.outreach) for m in Message.objects.order_by("pk")] == [
        ("ann@blue.example", "outreach", False, kept),
        ("bob@blue.example", "outreach", False, kept),
    ]
    row = StageTransition.objects.filter(account=shown).first()
    assert (row.to_stage, row.by, row.cause) == (Stage.INITIATED, me, "account")
    told = browser.get(f"/accounts/{shown.pk}/?kind=mail").text
    assert "Sam Specialist wrote <b>Your setup</b>" in told
    assert "ann@blue.example (on its way)" in told
    assert "turn it off." in told


def test_a_second_click_is_the_same_mail(browser, shown):
    sent(browser, shown)
    first = snapshot(shown)
    answer = sent(browser, shown)
    assert (answer.status_code, toast(answer)["text"]) == (
        200,
        "That mail went out already; nothing was done twice.",
    )
    assert (Outreach.objects.count(), Message.objects.count(), snapshot(shown)) == (1, 1, first)


def test_it_leaves_as_the_colleagues_own_and_answers_go_to_them(browser, shown, settings):
    settings.EMAIL_URL = "smtp://localhost"
    settings.DEFAULT_FROM_EMAIL = "Onramp <team@mail.example>"
    sent(browser, shown)
    drain(MAIL, clock=later)
    [letter] = mail.outbox
    assert (letter.from_email, letter.reply_to, letter.to, letter.body) == (
        "Sam Specialist <team@mail.example>",
        ["Sam Specialist <sam@onramp.example>"],
        ["ann@blue.example"],
        "Hi Ann,\n\nturn it off.",
    )
    assert "Auto-Submitted" not in letter.extra_headers
    settings.DEFAULT_FROM_EMAIL = "Onramp <team@onramp.example>"
    sent(browser, shown, key="k2", after=Outreach.objects.get().pk)
    drain(MAIL, clock=later)
    assert mail.outbox[1].from_email == "Sam Specialist <sam@onramp.example>"


def test_whoever_says_no_meanwhile_gets_nothing(browser, shown, settings):
    settings.EMAIL_URL = "smtp://localhost"
    sent(browser, shown)
    Contact.objects.filter(pk=shown.ann.pk).update(do_not_contact=True)
    drain(MAIL, clock=later)
    assert (Message.objects.get().because, mail.outbox) == ("They are not to be contacted.", [])
    assert "held back: They are not to be contacted." in browser.get(f"/accounts/{shown.pk}/?kind=mail").text


def test_what_was_sent_from_ones_own_program_is_noted_and_sends_nothing(browser, shown):
    answer = sent(browser, shown, way="own")
    shown.refresh_from_db()
    assert (answer.status_code, shown.stage, Message.objects.count()) == (200, Stage.INITIATED, 0)
    assert (Outreach.objects.get().way, toast(answer)["undo"]["values"]["version"]) == ("own", shown.version)


REFUSED = {
    "nobody": ({"to": []}, "Choose whom it goes to."),
    "somebody else’s contact": ({"to": [2**40]}, "One of these people is not at the account any more."),
    "no id": ({"to": ["x"]}, "One of these people is not at the account any more."),
    "no subject": ({"subject": " "}, "Give it a subject."),
    "no text": ({"text": " "}, "Write something first."),
    "a gap": (
        {"text": "Hi [their first name?]"},
        "Fill in or take out what is missing: [their first name?].",
    ),
    "a field": ({"text": "Hi {contact}"}, "Fill in or take out what is missing: {contact}."),
    "a gap in the subject": (
        {"subject": "[the forecast?]"},
        "Fill in or take out what is missing: [the forecast?].",
    ),
    "no way": ({"way": ""}, "Say how it is sent."),
    "another way": ({"way": "pigeon"}, "Nothing is sent that way."),
    "another template": ({"template": "none"}, "There is no template “none”."),
    "no key": ({"key": ""}, "The form has no key; open it anew."),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_sent_is_refused_in_a_sentence(browser, shown, what):
    more, says = REFUSED[what]
    before = snapshot(shown)
    answer = sent(browser, shown, **more)
    assert (answer.status_code, toast(answer)["text"]) == (422, says)
    nothing_kept(shown, before)


@pytest.mark.parametrize("way", ["onramp", "own"])
def test_nobody_writes_to_whom_we_must_not_contact_at_whatever_account(browser, shown, way):
    Contact.objects.create(account=account(), email="ann@blue.example", do_not_contact=True)
    before = snapshot(shown)
    answer = sent(browser, shown, way=way)
    assert (answer.status_code, toast(answer)["text"]) == (422, "Ann Ames is not to be contacted.")
    nothing_kept(shown, before)


def test_nothing_is_sent_from_here_to_where_mail_came_back(browser, shown):
    Contact.objects.filter(pk=shown.ann.pk).update(bounced_at=NOW)
    before = snapshot(shown)
    answer = sent(browser, shown)
    assert toast(answer)["text"] == "Mail to ann@blue.example came back, so none is sent from here."
    nothing_kept(shown, before)
    assert sent(browser, shown, way="own").status_code == 200


@pytest.mark.parametrize(
    ("engaged", "to"), [(False, Stage.ONBOARDED_NO_ENGAGEMENT), (True, Stage.ONBOARDED_ENGAGED)]
)
def test_the_final_outreach_closes_only_if_the_person_says_so(browser, engaged, to):
    of = account(Stage.AWAITING_FINAL_OUTREACH)
    of.ann = Contact.objects.create(account=of, email="ann@x.example")
    if engaged:
        of.engage("email", now=NOW)
    assert f"close as “{to.label}”" in browser.get(f"/accounts/{of.pk}/forms/write/").text
    sent(browser, of, template="final-outreach")
    of.refresh_from_db()
    assert of.stage == Stage.AWAITING_FINAL_OUTREACH
    sent(browser, of, template="final-outreach", closes="1", key="k2", after=Outreach.objects.latest("pk").pk)
    of.refresh_from_db()
    assert (of.stage, Outreach.objects.count()) == (to, 2)


def test_a_closing_that_is_refused_sends_nothing(browser, shown):
    before = snapshot(shown)
    answer = sent(browser, shown, closes="1")
    assert (answer.status_code, toast(answer)["code"]) == (409, "refused")
    nothing_kept(shown, before)


def test_whoever_was_overtaken_reads_that_first_and_may_send_all_the_same(browser, shown):
    dan = user(first_name="Dan", last_name="Day")
    other = Client()
    other.force_login(dan)
    sent(other, shown)
    answer = sent(browser, shown)
    said = "Dan Day wrote to them meanwhile. Read that first; nothing was sent."
    assert (answer.status_code, toast(answer)["text"]) == (422, said)
    assert "Dan Day wrote just now." in answer.text
    assert (Outreach.objects.count(), Message.objects.count()) == (1, 1)
    newest = Outreach.objects.get().pk
    assert f'name="after" value="{newest}"' in answer.text
    assert sent(browser, shown, after=newest).status_code == 200
    assert (Outreach.objects.count(), Message.objects.count()) == (2, 2)


@pytest.mark.parametrize("role", ["viewer", "revenue"])
def test_who_may_not_write_neither_sees_the_form_nor_sends(client, shown, role):
    client.force_login(user(role))
    before = snapshot(shown)
    assert sent(client, shown).status_code == 403
    assert client.get(f"/accounts/{shown.pk}/forms/write/").status_code == 403
    assert client.get(f"/accounts/{shown.pk}/write/text/").status_code == 403
    assert 'data-form="write"' not in client.get(f"/accounts/{shown.pk}/").text
    nothing_kept(shown, before)


# Taking it back


def taken_back(browser, answer):
    return browser.post(toast(answer)["undo"]["url"], toast(answer)["undo"]["values"])


def test_a_mail_waits_for_a_moment_and_undo_takes_it_back_with_the_move_it_made(browser, shown, settings):
    settings.EMAIL_URL = "smtp://localhost"
    before = shown.last_outreach_at
    answer = sent(browser, shown, to=[shown.ann.pk, shown.bob.pk])
    assert drain(MAIL, clock=timezone.now) == 0
    back = taken_back(browser, answer)
    shown.refresh_from_db()
    assert (back.status_code, shown.stage, shown.last_outreach_at) == (200, Stage.NEW, before)
    assert toast(back)["text"].startswith(
        "Taken back: nothing was sent to ann@blue.example, bob@blue.example."
    )
    assert json.loads(back.headers["HX-Trigger"])["draft"] == {
        "name": f"write:{shown.pk}",
        "values": {"template": "", "subject": "Your setup", "text": "Hi Ann,\n\nturn it off."},
    }
    assert {message.because for message in Message.objects.all()} == {"Sam Specialist took it back."}
    assert not any(message.retry(now=timezone.now()) for message in Message.objects.all())
    assert (drain(MAIL, clock=later), mail.outbox) == (0, [])
    told = browser.get(f"/accounts/{shown.pk}/?kind=mail").text
    assert "wrote, and took back before it left: <b>Your setup</b>" in told
    assert "on its way" not in told
    again = sent(browser, shown, key="k2", version=shown.version)
    assert (again.status_code, drain(MAIL, clock=later), len(mail.outbox)) == (200, 1, 1)


def test_what_has_left_is_not_taken_back(browser, shown, settings):
    settings.EMAIL_URL = "smtp://localhost"
    answer = sent(browser, shown)
    drain(MAIL, clock=later)
    before = snapshot(shown)
    back = taken_back(browser, answer)
    assert (back.status_code, toast(back)["text"]) == (
        422,
        "It has left already, so it cannot be taken back.",
    )
    assert (snapshot(shown), Outreach.objects.get().withdrawn_at) == (before, None)
    assert Message.objects.get().sent_at is not None


def test_a_mail_is_taken_back_where_a_colleague_moved_the_account_meanwhile_and_the_stage_stays(
    browser, shown
):
    answer = sent(browser, shown)
    shown.refresh_from_db()
    shown.move(Stage.ENGAGED_EMAIL, by=user(first_name="Dan"), now=timezone.now(), cause="list")
    back = taken_back(browser, answer)
    shown.refresh_from_db()
    assert (back.status_code, shown.stage) == (200, Stage.ENGAGED_EMAIL)
    assert "The stage stays: Dan moved it to “3a. Engaged — Email” first." in toast(back)["text"]
    assert Message.objects.waiting().count() == 0


def test_only_its_writer_takes_a_mail_back_and_only_once(browser, client, shown):
    undo = toast(sent(browser, shown))["undo"]
    client.force_login(user())
    assert client.post(undo["url"], undo["values"]).status_code == 404
    assert Message.objects.waiting().count() == 1
    client.force_login(Outreach.objects.get().by)
    assert [client.post(undo["url"], undo["values"]).status_code for _ in range(2)] == [200, 404]


def test_who_wrote_and_took_it_back_is_not_in_the_way_of_others(browser, client, shown):
    taken_back(browser, sent(browser, shown))
    client.force_login(user(first_name="Dan", email="dan@onramp.example"))
    shown.refresh_from_db()
    assert sent(client, shown, key="k9", version=shown.version).status_code == 200
