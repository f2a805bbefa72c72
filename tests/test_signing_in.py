"""Signing in, and what a person may change of it: in our words, with one thing to do a page."""

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core import mail
from django.test import Client, override_settings

from apps.crm.models.user import SPECIALIST
from tests.factories import user

pytestmark = pytest.mark.django_db

PASSWORD = "a-long-way-round"
PAGES = (
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/2fa/",
    "/accounts/2fa/totp/activate/",
    "/accounts/2fa/webauthn/",
    "/accounts/2fa/webauthn/add/",
    "/accounts/reauthenticate/",
    "/accounts/3rdparty/",
    "/accounts/logout/",
)
AFTER_IT = (
    "/accounts/2fa/",
    "/accounts/2fa/totp/deactivate/",
    "/accounts/2fa/recovery-codes/",
    "/accounts/2fa/recovery-codes/generate/",
    "/accounts/2fa/reauthenticate/",
)
OUTSIDE = (
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/inactive/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/1-abc/",
    "/accounts/password/reset/key/done/",
    "/accounts/confirm-email/xyz/",
    "/accounts/3rdparty/login/cancelled/",
)


@pytest.fixture
def me():
    made = user(SPECIALIST, email="dan@onramp.example")
    made.set_password(PASSWORD)
    made.save()
    return made


@pytest.fixture
def browser(me):
    found = Client()
    assert signs_in(found, me)["Location"] == "/"
    # What follows changes the login itself, for which the password is asked once more.
    assert found.post("/accounts/reauthenticate/", {"password": PASSWORD}).status_code == 302
    return found


def signs_in(browser, person):
    return browser.post("/accounts/login/", {"login": person.username, "password": PASSWORD})


def told(answer):
    """The title of a page, once it is seen to be in our words and to have at most one thing to do."""
    assert answer.status_code == 200, answer.request["PATH_INFO"]
    text = answer.content.decode()
    heads = [
        re.sub(r"<[^>]+>", "", head).strip() for head in re.findall(r"<h[12][^>]*>(.*?)</h[12]>", text, re.S)
    ]
    assert heads
    capitals = [word for head in heads for word in head.split()[1:] if word[:1].isupper()]
    assert not capitals, f"{heads} is not in sentence case"
    assert len(re.findall(r'class="(?:button )?primary"', text)) <= 1
    assert not re.search(
        r"\b(?:Email|email|third-party|reauthenticate|Please)\b", re.sub(r"<[^>]+>|{.*?}", "", text)
    )
    return heads[0]


def code_of(secret):
    counter = next(iter(yield_hotp_counters_from_time()))
    return format_hotp_value(hotp_value(secret, counter))


def turned_on(browser):
    """The second factor of whoever is signed in; returns its secret."""
    secret = browser.get("/accounts/2fa/totp/activate/").context["form"].secret
    answer = browser.post("/accounts/2fa/totp/activate/", {"code": code_of(secret)})
    assert answer["Location"] == "/accounts/2fa/recovery-codes/"
    return secret


@pytest.mark.parametrize("address", PAGES)
def test_a_page_of_ones_own_login_is_in_our_words(browser, address):
    told(browser.get(address))


@pytest.mark.parametrize("address", OUTSIDE)
def test_a_page_before_the_login_is_in_our_words(address):
    told(Client().get(address, follow=True))


def test_the_second_factor_is_turned_on_asked_for_and_turned_off(browser, me):
    # The page of one's e-mail keeps the address as one that nobody has confirmed.
    browser.get("/accounts/email/")
    turned_on(browser)
    for address in AFTER_IT:
        told(browser.get(address))
    [codes] = Authenticator.objects.filter(user=me, type=Authenticator.Type.RECOVERY_CODES)
    left = codes.wrap().get_unused_codes()
    assert left[0] in browser.get("/accounts/2fa/recovery-codes/").content.decode()
    other = Client()
    assert signs_in(other, me)["Location"] == "/accounts/2fa/authenticate/"
    assert told(other.get("/accounts/2fa/authenticate/")) == "Your second proof"
    assert "/accounts/login/" in other.get("/")["Location"]
    assert other.post("/accounts/2fa/authenticate/", {"code": left[0]})["Location"] == "/"
    assert other.get("/").status_code == 200
    browser.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.filter(user=me).exists()


def test_a_security_key_is_listed_renamed_and_removed(browser, me):
    key = Authenticator.objects.create(user=me, type=Authenticator.Type.WEBAUTHN, data={"name": "Blue"})
    assert "<h2>Blue</h2>" in browser.get("/accounts/2fa/webauthn/").content.decode()
    edit = f"/accounts/2fa/webauthn/keys/{key.pk}/edit/"
    told(browser.get(edit))
    browser.post(edit, {"name": "Green"})
    assert "<h2>Green</h2>" in browser.get("/accounts/2fa/webauthn/").content.decode()
    remove = f"/accounts/2fa/webauthn/keys/{key.pk}/remove/"
    told(browser.get(remove))
    browser.post(remove)
    assert "None yet." in browser.get("/accounts/2fa/webauthn/").content.decode()


def test_a_forgotten_password_is_chosen_anew_by_a_link_and_strangers_get_no_mail(me):
    browser = Client()
    browser.post("/accounts/password/reset/", {"email": "stranger@elsewhere.example"})
    assert mail.outbox == []
    browser.post("/accounts/password/reset/", {"email": me.email})
    [letter] = mail.outbox
    assert (letter.subject, letter.to) == ("Choose a new password for Onramp", [me.email])
    [link] = re.findall(r"https?://[^/]+(/\S+)", letter.body)
    page = browser.get(link, follow=True)
    assert told(page) == "Choose a password"
    chosen = {"password1": "a-shorter-way-home", "password2": "a-shorter-way-home"}
    done = browser.post(page.request["PATH_INFO"], chosen, follow=True)
    assert told(done) == "Your password is changed"
    me.refresh_from_db()
    assert me.check_password("a-shorter-way-home")


def test_single_sign_on_has_its_button_where_it_is_set_up():
    assert "/accounts/oidc/" not in Client().get("/accounts/login/").content.decode()
    app = {"provider_id": "sso", "name": "Our house", "client_id": "a", "secret": "b", "settings": {}}
    with override_settings(SOCIALACCOUNT_PROVIDERS={"openid_connect": {"APPS": [app]}}):
        text = Client().get("/accounts/login/").content.decode()
    assert re.search(
        r'<form method="post" action="/accounts/oidc/sso/login/[^"]*">.*?>Our house</button>', text, re.S
    )


def test_a_page_that_is_asked_for_too_often_says_so(me):
    browser = Client()
    answers = [browser.post("/accounts/password/reset/", {"email": me.email}) for _ in range(30)]
    assert answers[-1].status_code == 429
    assert "Nothing was changed. Wait a few minutes" in answers[-1].content.decode()
