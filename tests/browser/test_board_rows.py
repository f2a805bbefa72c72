"""A board with rows, and one of the past, in a real browser."""

from urllib.parse import parse_qs

import pytest
from playwright.sync_api import expect

from apps.crm.models import Account
from apps.crm.pipeline import Stage
from tests.browser.boards import card, drag, grab, said, stages
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dan():
    return user(first_name="Dan", last_name="Roe")


def cell(page, stage, row):
    return page.locator(f"#lane-{stage} .cards[data-row='{row}']")


def test_a_card_keeps_its_row_when_it_is_dragged_and_when_the_move_is_undone(open_board, dan):
    mina = user(first_name="Mina", last_name="Zay")
    of, other = account(Stage.NEW, owner=dan), account(Stage.INITIATED, owner=mina)
    page = open_board(dan, "?by=owner")
    grab(page, of, Stage.INITIATED)
    expect(cell(page, "initiated", dan.pk).locator(".place")).to_be_visible()
    page.mouse.up()
    said(page, "2. Onboarding Initiated")
    expect(cell(page, "initiated", dan.pk).locator(".card")).to_have_count(1)
    expect(cell(page, "initiated", mina.pk).locator(".card")).to_have_attribute("id", f"a{other.pk}")
    assert stages(of) == ["new", "initiated"]
    expect(page.locator(".card[aria-busy]")).to_have_count(0)
    page.keyboard.press("z")
    expect(cell(page, "new", dan.pk).locator(".card")).to_have_attribute("id", f"a{of.pk}")


def test_rows_stand_level_across_the_lanes_and_their_names_beside_them(open_board, dan):
    for stage in (Stage.NEW, Stage.NEW, Stage.NEW, Stage.INITIATED):
        account(stage, payment_risk="high")
    account(Stage.ENGAGED_EMAIL, payment_risk="low")
    page = open_board(dan, "?by=risk")
    tops = page.evaluate(
        """["new", "initiated", "engaged_email"].map((stage) =>
            [...document.querySelectorAll(`#lane-${stage} .cards`)].map((list) => list.getBoundingClientRect().top))"""
    )
    names = page.evaluate(
        "[...document.querySelectorAll('.rows p')].map((name) => name.getBoundingClientRect().top)"
    )
    assert tops[0] == tops[1] == tops[2] == names
    assert len({*names}) == 4


def test_the_arrows_go_along_a_row(open_board, dan):
    first, beside = account(Stage.NEW, payment_risk="low"), account(Stage.INITIATED, payment_risk="low")
    account(Stage.INITIATED, payment_risk="high")
    page = open_board(dan, "?by=risk")
    card(page, first).locator("a").focus()
    page.keyboard.press("ArrowRight")
    expect(card(page, beside).locator("a")).to_be_focused()


def test_a_board_of_the_past_picks_nothing_up(open_board, dan):
    of = account(Stage.NEW)
    today = of.stage_since.date().isoformat()
    page = open_board(dan, f"?as_of={today}")
    drag(page, of, Stage.INITIATED)
    expect(page.locator(".in-hand, .place")).to_have_count(0)
    assert Account.objects.get().stage == Stage.NEW
    page.get_by_role("link", name="Back to now").click()
    expect(page.locator(".moves")).to_have_count(1)


@pytest.mark.parametrize("query", ["?by=owner", "?by=risk", "?since=monday"])
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1440, "dark")])
def test_axe_finds_nothing_on_them(open_board, dan, axe, query, width, scheme):
    account(Stage.NEW, owner=dan, payment_risk="high")
    page = open_board(dan, query, viewport={"width": width, "height": 800}, color_scheme=scheme)
    axe(page)


def test_a_move_in_the_slide_over_asks_for_as_many_cards_of_each_row_as_are_shown(open_board, dan):
    made = [account(Stage.NEW, owner=dan) for _ in range(12)]
    page = open_board(dan, "?by=owner")
    expect(cell(page, "new", dan.pk).locator(".card")).to_have_count(12)
    card(page, made[0]).locator("> a").click()
    expect(page.locator(".over")).to_be_focused()
    with page.expect_request(lambda request: request.method == "POST") as asked:
        page.locator(".over .next > form .primary").click()
    said(page, "2. Onboarding Initiated")
    assert f"new/{dan.pk}:12," in parse_qs(asked.value.post_data)["shown"][0]
    expect(cell(page, "new", dan.pk).locator(".card")).to_have_count(11)
    assert stages(made[0]) == ["new", "initiated"]
