"""Links out of an account's page, filled in safely, and who may change them."""

import re

import pytest

from apps.crm.models import OutLink
from apps.crm.models.outlink import USUAL
from apps.crm.pipeline import Stage
from tests.account_pages import said, shown
from tests.answers import undo
from tests.factories import account, user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("at_now")]


# Links out


@pytest.fixture
def links():
    OutLink.objects.all().delete()
    return OutLink.objects


@pytest.fixture
def lead(client):
    client.force_login(user("lead"))
    return client


def test_a_link_is_filled_in_safely_and_left_out_where_its_fact_is_not_known(browser, links):
    links.create(label="Stripe", url="https://stripe.example/c/{stripe_customer_id}")
    links.create(label="Usage", url="https://metabase.example/?id={external_id}&d={domain}")
    links.create(label="Docs", url="https://docs.example/")
    of = account(external_id='a b/../?x=1&y#z"<', domain="acme.example")
    page = browser.get(f"/accounts/{of.pk}/").text
    assert "https://metabase.example/?id=a%20b%2F..%2F%3Fx%3D1%26y%23z%22%3C&amp;d=acme.example" in page
    assert "https://docs.example/" in page
    assert "stripe.example" not in page


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/",
        "javascript:alert(1)",
        "{domain}",
        "https://{password}/",
        "https://a.example/{",
        "https://a.example/ b",
        "https:///x",
        "https://[/",
    ],
)
def test_an_address_that_is_none_or_asks_for_what_there_is_not_is_refused(lead, links, url):
    answer = lead.post("/settings/links/add/", {"label": "Mine", "url": url})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'value="Mine"' in answer.text
    assert not links.exists()


def test_leads_add_change_and_remove_links_and_others_do_not(lead, client, links):
    lead.post("/settings/links/add/", {"label": "Docs", "url": "https://docs.example/"})
    one = links.get()
    changed = {"label": "Manual", "url": "https://docs.example/{name}", "seen": one.mark}
    assert lead.post(f"/settings/links/{one.pk}/", changed).status_code == 302
    one.refresh_from_db()
    assert (one.label, one.url) == ("Manual", "https://docs.example/{name}")
    taken = lead.post("/settings/links/add/", {"label": "Manual", "url": "https://x.example/"})
    assert "There is a link of this label already." in said(taken)
    lead.post("/settings/links/usual/")
    lead.post("/settings/links/usual/")
    assert set(links.values_list("label", flat=True)) == {"Manual", *USUAL}
    assert "{external_id}" in lead.get("/settings/links/").text
    gone = lead.post(f"/settings/links/{one.pk}/remove/", follow=True)
    assert set(links.values_list("label", flat=True)) == {*USUAL}
    undo(lead, gone)
    assert links.filter(label="Manual", url="https://docs.example/{name}").exists()
    assert set(links.values_list("label", flat=True)) == {"Manual", *USUAL}
    before = list(links.values())
    client.force_login(user("specialist"))
    page = client.get("/settings/links/").text
    assert ("https://{domain}/" in page, "/settings/links/add/" in page) == (True, False)
    for address in ("add", "usual", f"{before[0]['id']}", f"{before[0]['id']}/remove"):
        assert client.post(f"/settings/links/{address}/").status_code == 403
    assert list(links.values()) == before


def test_whoever_changes_a_link_second_is_shown_both_and_chooses(lead, links):
    one = links.create(label="Docs", url="https://docs.example/")
    seen = one.mark
    links.update(label="Guide", url="https://guide.example/")
    sent = {"label": "Manual", "url": "https://manual.example/", "seen": seen}
    answer = lead.post(f"/settings/links/{one.pk}/", sent)
    assert (answer.status_code, links.get().label) == (409, "Guide")
    assert "It is now Guide https://guide.example/ ; yours stands below" in said(answer)
    assert 'value="https://manual.example/"' in answer.text
    again = re.search(r'name="seen" value="([^"]+)"', answer.text)[1]
    assert lead.post(f"/settings/links/{one.pk}/", sent | {"seen": again}).status_code == 302
    assert (links.get().label, links.get().url) == ("Manual", "https://manual.example/")


def test_the_refund_policy_stands_beside_the_credits(browser, links):
    of = account(Stage.NEW)
    assert "Refund policy" not in shown(browser, of)
    links.create(label="Refund policy", url="https://policy.example/")
    assert browser.get(f"/accounts/{of.pk}/").text.count("https://policy.example/") == 2
