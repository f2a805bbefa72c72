"""The settings: what the team and each person tune, refused in words, and by whom it may be changed."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.crm.models import AccountLabel, Label, Policy, User
from apps.crm.models.user import LAST_ADMIN
from apps.crm.pipeline import Stage
from apps.crm.policy import NUMBERS
from apps.intake.models import ApiToken
from apps.web.sections import SECTIONS
from tests.factories import NOW, TODAY, account, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]
TOMORROW = TODAY + timedelta(days=1)


def signed_in(role="lead", **fields):
    client = Client()
    client.person = user(role, **fields)
    client.force_login(client.person)
    return client


def words(answer):
    """The text of a page, its spaces made one."""
    return " ".join(re.sub(r"<[^>]*>", " ", answer.content.decode()).split())


# The frame


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_every_page_of_the_settings_is_listed_and_opens_for_a_viewer(section):
    viewer = signed_in("viewer")
    front = viewer.get("/settings/").content.decode()
    address = reverse(f"web:{section.name}")
    assert (f'href="{address}"' in front, section.says in front) == (True, True)
    assert viewer.get(address).status_code == 200


@pytest.mark.parametrize(
    "address", ["/settings/team/", "/settings/labels/", "/settings/tokens/", "/settings/policy/"]
)
def test_a_page_costs_no_query_a_row(address):
    admin = signed_in("admin")

    def queries():
        with CaptureQueriesContext(connection) as captured:
            admin.get(address)
        return len(captured)

    def more():
        person = user("lead")
        ApiToken.objects.issue(person, now=NOW)
        Label.objects.create(name=person.username)
        Policy.objects.create(
            name="undo_minutes", value="1", set_by=person, starts_on=TODAY + timedelta(person.pk)
        )

    more()
    queries()
    few = queries()
    for _ in range(5):
        more()
    assert queries() == few


# My settings


def test_somebody_sets_their_own_time_zone_hours_and_keys():
    viewer = signed_in("viewer")
    viewer.post("/settings/me/", {"time_zone": "Asia/Tokyo", "hours": "9 to 5"})
    me = User.objects.get(pk=viewer.person.pk)
    assert (me.time_zone, me.hours, me.single_keys) == ("Asia/Tokyo", "9 to 5", False)


@pytest.mark.parametrize("zone", ["Mars", "", "../etc/passwd", "Europe/Berlin\0", "x" * 10_000])
def test_what_is_no_time_zone_is_refused_and_changes_nothing(zone):
    viewer = signed_in("viewer")
    answer = viewer.post("/settings/me/", {"time_zone": zone, "hours": "late"})
    assert (answer.status_code, "Nothing was changed" in words(answer)) == (422, True)
    me = User.objects.get(pk=viewer.person.pk)
    assert (me.time_zone, me.hours) == ("UTC", "")


# Policy


def test_the_page_has_every_number_with_what_it_decides():
    page = signed_in("viewer").get("/settings/policy/").content.decode()
    assert [name for name in NUMBERS if f'href="/settings/policy/{name}/"' not in page] == []


def test_a_number_is_chosen_from_a_day_on_and_says_who_chose_it():
    lead = signed_in(first_name="Lea")
    lead.post("/settings/policy/undo_minutes/", {"value": " 20 ", "starts_on": str(TOMORROW)})
    row = Policy.objects.get()
    assert (row.name, row.value, row.starts_on, row.set_by) == ("undo_minutes", "20", TOMORROW, lead.person)
    assert Policy.at(NOW).undo_minutes == 10
    assert Policy.at(NOW + timedelta(days=1)).undo_minutes == 20
    assert "20 from 22 Nov" in words(lead.get("/settings/policy/"))
    assert "Lea" in words(lead.get("/settings/policy/undo_minutes/"))


def test_a_day_of_which_it_was_chosen_before_is_chosen_anew():
    lead = signed_in()
    for value in ("20", "30"):
        lead.post("/settings/policy/undo_minutes/", {"value": value, "starts_on": str(TODAY)})
    assert Policy.objects.get().value == "30"
    assert Policy.at(NOW).undo_minutes == 30


@pytest.mark.parametrize(
    ("name", "value", "starts_on", "says"),
    [
        ("undo_minutes", "ten", TODAY, "“ten” is not a whole number of minutes"),
        ("undo_minutes", "", TODAY, "is not a whole number of minutes"),
        ("undo_minutes", "-1", TODAY, "is not a whole number"),
        ("undo_minutes", "9" * 100, TODAY, "is too much: at most"),
        ("final_outreach_days", "3651", TODAY, "3651 is too much: at most 3,650 days"),
        ("digest_hour", "24", TODAY, "An hour of the day is 0 to 23."),
        ("time_zone", "Mars", TODAY, "is not a time zone"),
        ("booking_link", "http://x.example", TODAY, "begins with https://"),
        ("alert_owner", "nobody-here", TODAY, "Nobody active has the login"),
        ("undo_minutes", "20", TODAY - timedelta(days=1), "The past keeps its rules"),
        ("undo_minutes", "20", "soon", "The day is written like 2026-12-01."),
        ("undo_minutes", "20", "", "Say from which day."),
        ("undo_minutes", "2\0", TODAY, "Null characters are not allowed."),
        ("undo_minutes", "1" * 10_000, TODAY, "at most 100 characters"),
    ],
)
def test_what_is_no_value_is_refused_in_words_and_changes_nothing(name, value, starts_on, says):
    answer = signed_in().post(f"/settings/policy/{name}/", {"value": value, "starts_on": str(starts_on)})
    told = words(answer).replace("&#39;", "'").replace("'ten'", "“ten”")
    assert answer.status_code == 422
    assert "Nothing was changed" in told
    assert says in told
    assert not Policy.objects.exists()


def test_a_number_that_is_not_there_is_a_404():
    assert signed_in().get("/settings/policy/nothing/").status_code == 404


def test_a_value_to_come_is_taken_back_and_one_that_holds_stays():
    lead = signed_in()
    for day in (TODAY, TOMORROW):
        lead.post("/settings/policy/undo_minutes/", {"value": "20", "starts_on": str(day)})
    for row in Policy.objects.all():
        lead.post(f"/settings/policy/undo_minutes/{row.pk}/take-back/")
    assert [row.starts_on for row in Policy.objects.all()] == [TODAY]


def test_a_changed_number_shows_whom_it_would_touch_and_changes_nothing():
    account(Stage.INITIATED, name="Soon", next_renewal_on=TODAY + timedelta(days=9))
    account(Stage.INITIATED, name="Later", next_renewal_on=TODAY + timedelta(days=20))
    account(Stage.INITIATED, name="Far", next_renewal_on=TODAY + timedelta(days=40))
    lead = signed_in()
    told = words(lead.get("/settings/policy/final_outreach_days/", {"value": "20"}))
    assert "final-outreach-due : 1 more, Later ; none fewer." in told
    told = words(lead.get("/settings/policy/final_outreach_days/", {"value": "0"}))
    assert "final-outreach-due : none more; 1 fewer." in told
    told = words(lead.get("/settings/policy/final_outreach_days/", {"value": "many"}))
    assert "is not a whole number of days" in told
    assert not Policy.objects.exists()


def test_a_changed_scope_shows_who_would_enter():
    account(name="Small", plan="pay_as_you_go", forecast=80)
    told = words(signed_in().get("/settings/policy/scope_entry_forecast/", {"value": "50"}))
    assert "enter-pipeline : 1 more, Small" in told


def test_the_alert_owner_is_chosen_among_the_people_who_work_with_accounts():
    lead = signed_in(username="lea")
    user("viewer", username="vic")
    page = lead.get("/settings/alert-owner/").content.decode()
    assert ('value="lea"' in page, 'value="vic"' in page) == (True, False)
    lead.post("/settings/alert-owner/", {"value": "lea", "starts_on": str(TODAY)})
    assert Policy.at(NOW).alert_owner == "lea"


# The team

ANN = {"username": "ann", "first_name": "Ann", "email": "ann@onramp.example", "time_zone": "Europe/Berlin"}


def test_an_admin_enters_a_colleague_who_chooses_a_password_by_a_link_that_works_once():
    admin = signed_in("admin")
    admin.post(
        "/settings/team/new/", ANN | {"roles": ["specialist", "lead"], "is_active": "on", "hours": "mornings"}
    )
    ann = User.objects.get(username="ann")
    assert (ann.roles, ann.is_active, ann.has_usable_password()) == ({"specialist", "lead"}, True, False)
    assert (ann.time_zone, ann.hours, ann.email) == ("Europe/Berlin", "mornings", "ann@onramp.example")
    page = admin.post(f"/settings/team/{ann.pk}/link/").content.decode()
    path = re.search(r"(/accounts/password/reset/key/[^<\s]+)", page)[1]
    stranger = Client()
    form = stranger.get(path, follow=True)
    address = form.redirect_chain[-1][0]
    chosen = {"password1": "onramp-for-everyone", "password2": "onramp-for-everyone"}
    stranger.post(address, chosen)
    assert User.objects.get(username="ann").check_password("onramp-for-everyone")
    again = Client().get(path, follow=True)
    assert b'name="password1"' not in again.content


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"roles": []}, "Give at least one role."),
        ({"roles": ["king"]}, "There is no role “king”."),
        ({"username": "taken"}, "Somebody has this login already."),
        ({"email": "TAKEN@onramp.example"}, "A colleague has this e-mail already."),
        ({"email": "nonsense"}, "valid email"),
        ({"time_zone": "Mars"}, "is not a time zone"),
        ({"username": ""}, "required"),
        ({"username": "a\0b"}, "Null characters"),
    ],
)
def test_a_colleague_who_cannot_be_entered_is_refused_in_words(given, says):
    user("viewer", username="taken")
    admin = signed_in("admin")
    before = User.objects.count()
    answer = admin.post("/settings/team/new/", ANN | {"roles": ["viewer"], "is_active": "on"} | given)
    assert (answer.status_code, says in words(answer)) == (422, True), words(answer)
    assert User.objects.count() == before


def test_somebody_who_leaves_is_let_go_and_can_do_nothing_any_more():
    admin, gone = signed_in("admin"), signed_in("specialist", username="gus")
    token = ApiToken.objects.issue(gone.person, now=NOW)
    facts = {"username": "gus", "email": gone.person.email, "time_zone": "UTC", "roles": ["specialist"]}
    admin.post(f"/settings/team/{gone.person.pk}/", facts)
    assert User.objects.get(username="gus").is_active is False
    assert gone.get("/").status_code == 302
    assert ApiToken.objects.find(token) is None
    assert admin.post(f"/settings/team/{gone.person.pk}/link/").status_code == 404


@pytest.mark.parametrize("change", [{"roles": ["lead"], "is_active": "on"}, {"roles": ["admin"]}])
def test_the_last_admin_stays_one_until_there_is_another(change):
    admin = signed_in("admin", username="ada")
    facts = {"username": "ada", "email": admin.person.email, "time_zone": "UTC", "hours": "new"} | change
    answer = admin.post(f"/settings/team/{admin.person.pk}/", facts)
    assert (answer.status_code, LAST_ADMIN in words(answer)) == (422, True)
    ada = User.objects.get(username="ada")
    assert (ada.roles, ada.is_active, ada.hours) == ({"admin"}, True, "")
    user("admin", is_active=False)
    assert admin.post(f"/settings/team/{admin.person.pk}/", facts).status_code == 422
    user("admin")
    assert admin.post(f"/settings/team/{admin.person.pk}/", facts).status_code == 302
    assert not User.objects.get(username="ada").may("users")


def test_the_last_admin_stays_one_by_the_other_door_too():
    admin = signed_in("admin", username="ada")
    facts = {
        "username": "ada",
        "email": admin.person.email,
        "time_zone": "UTC",
        "is_active": "on",
        "groups": [],
    }
    address = reverse("admin:crm_user_change", args=[admin.person.pk])
    assert LAST_ADMIN in words(admin.post(address, facts))
    assert User.objects.get(username="ada").may("users")
    user("admin")
    assert admin.post(address, facts).status_code == 302
    assert not User.objects.get(username="ada").may("users")


def test_a_superuser_whose_role_is_taken_is_one_no_longer():
    admin, root = signed_in("admin"), user("admin", username="root", is_superuser=True)
    facts = {
        "username": "root",
        "email": root.email,
        "time_zone": "UTC",
        "is_active": "on",
        "roles": ["viewer"],
    }
    admin.post(f"/settings/team/{root.pk}/", facts)
    root = User.objects.get(username="root")
    assert (root.is_superuser, root.roles) == (False, {"viewer"})


def test_the_sender_group_are_the_specialists_and_one_without_an_address_is_named():
    user("specialist", username="sue", email="sue@onramp.example")
    user("specialist", username="sol", email="")
    user("lead", username="len")
    told = words(signed_in("viewer").get("/settings/senders/"))
    assert ("sue@onramp.example" in told, "sol no e-mail" in told, "len" in told.split()) == (
        True,
        True,
        False,
    )


# Labels


@pytest.fixture
def labelled():
    """Two labels, on one account alone each, and on one together."""
    red, blue = Label.objects.create(name="Red"), Label.objects.create(name="Blue")
    worn = {"a": [red], "b": [blue], "c": [red, blue]}
    for name, labels in worn.items():
        account(name=name).labels.set(labels)
    return red, blue


def worn():
    return sorted(AccountLabel.objects.values_list("account__name", "label__name"))


def test_a_label_is_renamed_also_in_its_case_alone(labelled):
    lead = signed_in()
    lead.post(f"/settings/labels/{labelled[0].pk}/rename/", {"name": "RED"})
    lead.post(f"/settings/labels/{labelled[1].pk}/rename/", {"name": " Navy "})
    assert [*Label.objects.values_list("name", flat=True)] == ["Navy", "RED"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("blue", "There is a label “Blue” already: merge the two."),
        ("", "A label has a name."),
        ("x" * 81, "at most 80"),
        ("\0", "Null"),
    ],
)
def test_a_name_that_cannot_be_given_is_refused(labelled, name, says):
    answer = signed_in().post(f"/settings/labels/{labelled[0].pk}/rename/", {"name": name})
    assert (answer.status_code, says in words(answer)) == (422, True)
    assert [*Label.objects.values_list("name", flat=True)] == ["Blue", "Red"]


def test_merged_labels_leave_every_account_with_one(labelled):
    red, blue = labelled
    asked = words(signed_in().post(f"/settings/labels/{red.pk}/merge/", {"into": blue.pk}))
    assert "Its accounts are labelled “Blue” instead, and “Red” is gone. This cannot be undone." in asked
    assert worn() == [("a", "Red"), ("b", "Blue"), ("c", "Blue"), ("c", "Red")]
    told = words(
        signed_in().post(f"/settings/labels/{red.pk}/merge/", {"into": blue.pk, "sure": "1"}, follow=True)
    )
    assert "2 accounts are labelled “Blue” instead of “Red” now." in told
    assert worn() == [("a", "Blue"), ("b", "Blue"), ("c", "Blue")]
    assert [*Label.objects.all()] == [blue]


@pytest.mark.parametrize("into", ["same", "0", "", "x"])
def test_a_label_merged_into_itself_or_nothing_stays(labelled, into):
    red = labelled[0]
    answer = signed_in().post(
        f"/settings/labels/{red.pk}/merge/", {"into": red.pk if into == "same" else into}
    )
    assert (answer.status_code, "Nothing was changed" in words(answer)) == (422, True)
    assert (Label.objects.count(), len(worn())) == (2, 4)


def test_a_label_is_deleted_after_its_count_was_shown(labelled):
    lead, red = signed_in(), labelled[0]
    assert "It comes off 2 accounts." in words(lead.get(f"/settings/labels/{red.pk}/delete/"))
    assert Label.objects.count() == 2
    lead.post(f"/settings/labels/{red.pk}/delete/")
    assert worn() == [("b", "Blue"), ("c", "Blue")]


# Tokens


def test_a_token_is_shown_once_and_acts_as_its_maker():
    lead = signed_in()
    page = lead.post("/settings/tokens/", {"name": "Billing", "read_only": "on"}).content.decode()
    secret = re.search(r"onramp_[\w-]+", page)[0]
    token = ApiToken.objects.find(secret)
    assert (token.user, token.name, token.read_only) == (lead.person, "Billing", True)
    assert secret not in lead.get("/settings/tokens/").content.decode()
    api = Client(headers={"authorization": f"Bearer {secret}"})
    assert api.get("/api/v1/accounts").status_code == 200
    assert "today" in words(lead.get("/settings/tokens/"))
    asked = words(lead.post(f"/settings/tokens/{token.pk}/revoke/"))
    assert "The program that uses it is let in no more. This cannot be undone." in asked
    assert api.get("/api/v1/accounts").status_code == 200
    lead.post(f"/settings/tokens/{token.pk}/revoke/", {"sure": "1"})
    assert api.get("/api/v1/accounts").status_code == 401


def test_nobody_but_an_admin_makes_a_token_in_anothers_name():
    other = user("admin")
    answer = signed_in().post("/settings/tokens/", {"name": "Mine", "user": other.pk})
    assert (answer.status_code, "is made by an admin" in words(answer)) == (422, True)
    assert not ApiToken.objects.exists()
    signed_in("admin").post("/settings/tokens/", {"name": "Theirs", "user": other.pk})
    assert ApiToken.objects.get().user == other


@pytest.mark.parametrize("given", [{}, {"name": "x" * 101}, {"name": "x", "user": "0"}, {"name": "a\0"}])
def test_a_token_that_cannot_be_made_is_refused_in_words(given):
    answer = signed_in().post("/settings/tokens/", given)
    assert (answer.status_code, "Nothing was changed" in words(answer)) == (422, True)
    assert not ApiToken.objects.exists()
