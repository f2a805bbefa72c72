"""The board in a real browser. After every story, what the page shows is what the database holds."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from apps.crm.models import Account, StageTransition
from apps.crm.options import options
from apps.crm.pipeline import CLOSED, STAGES, Stage
from tests.browser.boards import WIDE, card, drag, grab, said, stages
from tests.browser.conftest import deaf, until
from tests.factories import account, user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dan():
    return user(first_name="Dan", last_name="Roe")


def slow_line(page):
    page.evaluate(
        """() => {
            const answered = window.fetch;
            window.fetch = async (...asked) => {
                await new Promise((wait) => setTimeout(wait, 700));
                return answered(...asked);
            };
        }"""
    )


def assert_true(page):
    """What the page shows equals what the database holds: every lane's cards in order, its count and its sum."""
    expect(page.locator(".card[aria-busy], .flying, .arriving, .place, .in-hand, .taken")).to_have_count(0)
    lanes = page.evaluate(
        """Object.fromEntries([...document.querySelectorAll(".lane")].map((lane) => [lane.dataset.stage, {
            folded: "folded" in lane.dataset,
            cards: [...lane.querySelectorAll(".card")].map((card) => [card.id, parseInt(card.dataset.is)]),
            count: lane.querySelector(".lane-count").firstChild.textContent,
            sum: lane.querySelector(".lane-sum").textContent,
        }]))"""
    )
    for stage in STAGES:
        here, lane = list(Account.objects.filter(stage=stage).order_by("renewal_on", "pk")), lanes[stage]
        assert lane["count"] == str(len(here)), stage.label
        if not lane["folded"]:
            assert lane["cards"] == [[f"a{it.pk}", it.version] for it in here], stage.label
        if stage not in CLOSED:
            forecast = sum(it.forecast or 0 for it in here)
            assert lane["sum"] == (f"${forecast:,.0f}" if forecast else ""), stage.label


def test_a_permitted_drag_moves_the_card_and_both_lanes_are_drawn_from_the_database(open_board, dan):
    one, *_ = [account(Stage.NEW, forecast=number * 100) for number in (1, 2, 3)]
    account(Stage.INITIATED, forecast=50)
    page = open_board(dan)
    drag(page, one, Stage.INITIATED)
    said(page, "moved to “2. Onboarding Initiated”")
    assert stages(one) == [Stage.NEW, Stage.INITIATED]
    assert StageTransition.objects.get(account=one, version=2).cause == "board"
    assert_true(page)
    # The lanes drawn anew can be dragged from and to like the first ones.
    drag(page, one, Stage.ENGAGED_EMAIL)
    said(page, "moved to “3a. Engaged — Email”")
    assert_true(page)


def test_cards_that_did_not_change_are_left_alone_when_their_lane_is_drawn_anew(open_board, dan):
    one, *others = [account(Stage.NEW) for _ in range(4)]
    others.append(account(Stage.INITIATED))
    page = open_board(dan)
    page.evaluate("document.querySelectorAll('.card .moves').forEach((button) => { button.stood = true; })")
    drag(page, one, Stage.INITIATED)
    said(page, "moved to “2. Onboarding Initiated”")
    assert_true(page)
    stood = page.evaluate(
        """[...document.querySelectorAll(".card")].map((card) => [
            card.id, card.querySelectorAll(".moves").length, card.querySelector(".moves").stood])"""
    )
    assert {name: rest for name, *rest in stood} == {
        f"a{one.pk}": [1, True],
        **{f"a{other.pk}": [1, True] for other in others},
    }


def test_a_card_carried_by_its_name_is_moved_and_not_opened(open_board, dan):
    one = account(Stage.NEW)
    page = open_board(dan)
    page.evaluate("addEventListener('click', () => { window.clicked = true; })")
    name = card(page, one).locator("> a")
    box = name.bounding_box()
    # Put back where it was, so that it is let go over its own link.
    name.hover()
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 60, steps=3)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
    page.mouse.up()
    assert_true(page)
    assert page.evaluate("window.clicked") is None
    name.hover()
    page.mouse.down()
    lane = page.locator(f"#lane-{Stage.INITIATED}").bounding_box()
    page.mouse.move(lane["x"] + 90, lane["y"] + 160, steps=6)
    page.mouse.up()
    said(page, "moved to “2. Onboarding Initiated”")
    assert stages(one) == [Stage.NEW, Stage.INITIATED]
    assert page.evaluate("window.clicked") is None
    assert_true(page)
    card(page, one).locator("> a").click()
    expect(page.locator(".over")).to_be_visible()


def test_a_drag_to_a_close_is_followed_by_a_word_on_the_open_audit_with_a_link_there(open_board, dan):
    one = account(Stage.AWAITING_FINAL_OUTREACH)
    page = open_board(dan)
    drag(page, one, Stage.ONBOARDED_NO_ENGAGEMENT)
    said(page, "points of the audit are open.")
    assert stages(one)[-1] == Stage.ONBOARDED_NO_ENGAGEMENT
    page.get_by_role("link", name="Look at them").click()
    expect(page.locator("#audit")).to_be_in_viewport()


@pytest.mark.parametrize(("name", "says"), [("Rows", "Renewal week"), ("Look back", "Since Monday")])
def test_a_menu_of_the_head_stands_under_its_button(open_board, dan, name, says):
    page = open_board(dan, viewport={"width": 1440, "height": 900})
    button = page.get_by_role("button", name=name)
    button.click()
    expect(page.get_by_role("link", name=says)).to_be_visible()
    above, menu = button.bounding_box(), page.locator(".menu:popover-open").bounding_box()
    assert menu["y"] >= above["y"] + above["height"]
    assert menu["x"] + menu["width"] == pytest.approx(above["x"] + above["width"], abs=2)


def test_on_pick_up_permitted_lanes_light_up_and_each_other_says_why_not(open_board, dan):
    here = account(Stage.AWAITING_FINAL_OUTREACH)
    Account.objects.filter(pk=here.pk).update(engaged_at=timezone.now(), engaged_via="email")
    here.refresh_from_db()
    page = open_board(dan)
    grab(page, here, Stage.NEW)
    for option in options(here):
        lane = page.locator(f"#lane-{option.to}")
        expect(lane).to_have_attribute("data-drop", "yes" if option.permitted else "no")
        expect(lane.locator(".lane-why")).to_have_text(option.refusal)
        if option.refusal:
            expect(lane.locator(".lane-why")).to_be_visible()
    page.keyboard.press("Escape")
    page.mouse.up()
    expect(page.locator("[data-drop]")).to_have_count(0)
    assert stages(here) == [Stage.AWAITING_FINAL_OUTREACH]
    assert_true(page)


def test_a_refused_drop_sends_the_card_home_the_lane_says_why_and_nothing_is_asked(open_board, dan):
    here = account(Stage.NEW)
    page = open_board(dan)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    drag(page, here, Stage.AWAITING_FINAL_OUTREACH)
    why = page.locator(f"#lane-{Stage.AWAITING_FINAL_OUTREACH} .lane-why")
    expect(why).to_be_visible()
    expect(why).to_contain_text("an account nobody has written to has nothing to follow up")
    assert_true(page)
    # What others have changed is asked every four seconds, whatever is done here.
    assert [url for url in asked if "/changes/" not in url] == []
    assert stages(here) == [Stage.NEW]


def test_a_drop_that_needs_words_asks_for_them_keeps_them_when_called_off_and_moves_when_given(
    open_board, dan
):
    here = account(Stage.NEW)
    page = open_board(dan)
    drag(page, here, Stage.CHURNED)
    words = page.locator("#reason textarea")
    words.fill("They went with somebody else.")
    page.keyboard.press("Escape")
    expect(words).to_be_hidden()
    assert_true(page)
    assert stages(here) == [Stage.NEW]
    drag(page, here, Stage.CHURNED)
    expect(words).to_have_value("They went with somebody else.")
    page.get_by_role("button", name="Move", exact=True).click()
    said(page, "moved to “6d. Churned”")
    assert StageTransition.objects.get(account=here, version=2).reason == "They went with somebody else."
    assert_true(page)


def test_quick_drags_on_a_slow_line_are_answered_in_turn_and_all_stay(open_board, dan):
    one, two, three = [account(Stage.NEW, forecast=100) for _ in range(3)]
    page = open_board(dan)
    slow_line(page)
    drag(page, one, Stage.INITIATED)
    drag(page, two, Stage.CALL_BOOKED)
    expect(page.locator(f"#cards-{Stage.CALL_BOOKED} #a{two.pk}[aria-busy]")).to_have_count(1)
    # The answer to the first arrives while the third is in hand.
    grab(page, three, Stage.INITIATED)
    page.wait_for_timeout(1000)
    expect(page.locator(".in-hand")).to_have_count(1)
    page.mouse.up()
    assert_true(page)
    assert [stages(it)[1:] for it in (one, two, three)] == [
        [Stage.INITIATED],
        [Stage.CALL_BOOKED],
        [Stage.INITIATED],
    ]


def test_a_card_in_hand_stays_in_hand_while_its_lane_changes_and_is_drawn_true_once_dropped(open_board, dan):
    one, two = account(Stage.NEW), account(Stage.NEW)
    page = open_board(dan)
    slow_line(page)
    drag(page, one, Stage.INITIATED)
    grab(page, two, Stage.INITIATED)
    two.move(Stage.CALL_BOOKED, by=user(first_name="Mina"), now=timezone.now(), cause="list")
    page.wait_for_timeout(1200)
    expect(page.locator(".in-hand")).to_have_count(1)
    expect(page.locator(f"#cards-{Stage.NEW} #a{two.pk}")).to_have_count(1)
    page.mouse.up()
    said(page, "Mina moved it to “3b. Engaged — Call Booked” first.")
    assert_true(page)


def test_a_card_that_a_colleague_moved_is_drawn_where_it_truly_is_with_who_was_first(open_board, dan):
    mina = user(first_name="Mina", last_name="Hart")
    here = account(Stage.NEW)
    page = open_board(dan)
    deaf(page)
    here.move(Stage.CALL_BOOKED, by=mina, now=timezone.now(), cause="list")
    drag(page, here, Stage.INITIATED)
    said(page, "Mina Hart moved it to “3b. Engaged — Call Booked” first.")
    assert stages(here) == [Stage.NEW, Stage.CALL_BOOKED]
    assert_true(page)


def test_a_drag_while_offline_puts_the_card_back_and_says_so(open_board, dan):
    here = account(Stage.NEW)
    account(Stage.NEW)
    page = open_board(dan)
    page.context.set_offline(True)
    drag(page, here, Stage.INITIATED)
    said(page, "You are offline. The card is back where it was; nothing was changed.")
    assert_true(page)
    assert stages(here) == [Stage.NEW]
    page.context.set_offline(False)
    drag(page, here, Stage.INITIATED)
    said(page, "moved to “2. Onboarding Initiated”")
    assert_true(page)


def test_an_answer_that_was_lost_is_asked_for_again_and_drawn_true(open_board, dan):
    here = account(Stage.NEW)
    page = open_board(dan)

    def lose(route):
        route.fetch()
        route.abort("connectionreset")

    page.route("**/move/**", lose)
    drag(page, here, Stage.INITIATED)
    said(page, "No answer from the server.")
    expect(page.locator(f"#cards-{Stage.INITIATED} #a{here.pk}")).to_have_count(1)
    assert stages(here) == [Stage.NEW, Stage.INITIATED]
    assert_true(page)


@pytest.mark.parametrize(("status", "words"), [(500, "Something went wrong"), (403, "You may not do that")])
def test_an_answer_that_is_none_puts_the_card_back(open_board, dan, status, words):
    here = account(Stage.NEW)
    page = open_board(dan)
    page.route("**/move/**", lambda route: route.fulfill(status=status, body="<p>No</p>"))
    drag(page, here, Stage.INITIATED)
    said(page, words)
    expect(page.locator(f"#cards-{Stage.NEW} #a{here.pk}")).to_have_count(1)
    assert_true(page)
    assert stages(here) == [Stage.NEW]


def test_undo_by_its_key_takes_the_move_back_and_draws_both_lanes(open_board, dan):
    here = account(Stage.NEW, forecast=70)
    page = open_board(dan)
    drag(page, here, Stage.INITIATED)
    said(page, "moved to")
    page.keyboard.press("z")
    said(page, "is back in “1. New Account”")
    assert stages(here) == [Stage.NEW, Stage.INITIATED, Stage.NEW]
    assert_true(page)


def test_the_menu_moves_by_keyboard_alone_and_says_what_is_refused(open_board, dan):
    first, second = account(Stage.NEW), account(Stage.NEW)
    account(Stage.INITIATED)
    page = open_board(dan)
    card(page, first).locator("> a").focus()
    for key in ("ArrowRight", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    expect(card(page, second).locator("> a")).to_be_focused()
    page.keyboard.press("m")
    menu = page.get_by_role("menu", name="Move to")
    expect(menu.get_by_role("menuitem").first).to_be_focused()
    expect(menu.get_by_role("menuitem").first).to_contain_text("Outreach sent")
    expect(menu.locator("[aria-disabled]", has_text="nobody has written to")).to_have_count(1)
    page.keyboard.type("3b")
    page.keyboard.press("Enter")
    said(page, "moved to “3b. Engaged — Call Booked”")
    expect(card(page, second).locator("> a")).to_be_focused()
    assert stages(second) == [Stage.NEW, Stage.CALL_BOOKED]
    assert_true(page)


def test_the_menu_waits_until_it_is_known_what_stands_in_it(window, login, dan):
    here, held = account(Stage.NEW), []
    page = window(**WIDE).new_page()
    login(page, dan)
    page.route("**/board/rules/*", lambda route: held.append(route))
    page.goto("/board/")
    until(page, lambda: held)
    card(page, here).locator("> a").focus()
    page.keyboard.press("m")
    held[0].continue_()
    expect(page.get_by_role("menuitem", name="Outreach sent")).to_be_focused()


def test_a_long_press_picks_up_a_card_by_touch_and_a_swipe_does_not(open_board, dan):
    here = account(Stage.NEW)
    page = open_board(dan, has_touch=True, is_mobile=True, viewport={"width": 768, "height": 1024})
    touch = page.context.new_cdp_session(page)

    def finger(kind, x=0, y=0):
        points = [] if kind == "touchEnd" else [{"x": x, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def sweep(x, y, to):
        for step in range(1, 6):
            finger("touchMove", x + (to - x) * step / 5, y)
            page.wait_for_timeout(20)

    box, lane = card(page, here).bounding_box(), page.locator(f"#lane-{Stage.INITIATED}").bounding_box()
    x, y = box["x"] + 120, box["y"] + 40
    # How long a press is says the page's clock, not the machine's haste.
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now() + 100"))
    page.evaluate(
        """() => {
            const board = document.getElementById("board");
            window.scrolled = new Promise((tell) => {
                board.addEventListener("scrollend", () => tell(board.scrollLeft), { once: true });
            });
        }"""
    )
    finger("touchStart", x, y)
    sweep(x, y, x - 100)
    finger("touchEnd")
    assert page.evaluate("window.scrolled") > 0
    page.clock.run_for(400)
    expect(page.locator(".in-hand, .taken")).to_have_count(0)
    assert stages(here) == [Stage.NEW]
    page.evaluate("document.getElementById('board').scrollTo(0, 0)")
    finger("touchStart", x, y)
    page.clock.run_for(400)
    page.clock.resume()
    sweep(x, y, lane["x"] + 100)
    expect(page.locator(f"#lane-{Stage.INITIATED}")).to_have_attribute("data-over", "")
    finger("touchEnd")
    said(page, "moved to “2. Onboarding Initiated”")
    assert_true(page)


def test_the_board_scrolls_on_under_a_card_near_its_edge_to_the_last_lane(open_board, dan):
    here = account(Stage.NEW)
    account(Stage.ENGAGED_EMAIL)
    page = open_board(dan, viewport={"width": 700, "height": 700})
    far = page.locator(".lane").last
    expect(far).not_to_be_in_viewport()
    box = card(page, here).bounding_box()
    page.mouse.move(box["x"] + 40, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(690, box["y"] + 60, steps=6)
    expect(far).to_be_in_viewport(ratio=0.5)
    page.keyboard.press("Escape")
    page.mouse.up()
    expect(page.locator(".in-hand, .taken, .place, [data-drop]")).to_have_count(0)
    assert stages(here) == [Stage.NEW]


def test_more_cards_come_on_scroll_and_stay_after_a_move(open_board, dan):
    made = [account(Stage.NEW) for _ in range(60)]
    page = open_board(dan)
    lane = page.locator(f"#cards-{Stage.NEW}")
    for count in (25, 50, 60):
        expect(lane.locator(".card")).to_have_count(count)
        lane.evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
    drag(page, made[40], Stage.INITIATED)
    said(page, "moved to")
    expect(lane.locator(".card")).to_have_count(59)
    assert lane.evaluate("(list) => list.scrollTop") > 0
    assert_true(page)


def test_cards_asked_for_before_a_move_and_answered_after_it_lose_no_card(open_board, dan):
    day = timezone.now().date()
    for number in range(40):
        account(Stage.INITIATED, next_renewal_on=day + timedelta(days=number))
    here = account(Stage.NEW, next_renewal_on=day + timedelta(days=34))
    page = open_board(dan)
    lane = page.locator(f"#cards-{Stage.INITIATED}")
    page.evaluate(
        """() => {
            const answered = window.fetch;
            window.fetch = async (...asked) => {
                const answer = await answered(...asked);
                if (!asked[0].includes("after=") || document.body.dataset.late) return answer;
                document.body.dataset.late = "asked";
                await new Promise((wait) => setTimeout(wait, 2500));
                document.body.dataset.late = "answered";
                return answer;
            };
        }"""
    )
    lane.evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
    expect(page.locator("body")).to_have_attribute("data-late", "asked")
    drag(page, here, Stage.INITIATED)
    said(page, "moved to")
    expect(page.locator("body")).to_have_attribute("data-late", "answered")
    lane.evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
    expect(lane.locator(".card")).to_have_count(41)
    assert_true(page)


def test_a_closed_lane_unfolds_with_its_cards_stays_unfolded_and_takes_a_card(open_board, dan):
    account(Stage.CHURNED)
    here = account(Stage.NEW)
    page = open_board(dan)
    cards = page.locator(f"#lane-{Stage.CHURNED} .card")
    expect(cards).to_have_count(0)
    page.get_by_role("button", name="6d. Churned: cards").click()
    expect(cards).to_have_count(1)
    page.reload()
    expect(cards).to_have_count(1)
    drag(page, here, Stage.CHURNED)
    page.locator("#reason textarea").fill("Closed down.")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(cards).to_have_count(2)
    assert_true(page)


def test_a_viewer_sees_the_board_but_picks_nothing_up(open_board):
    here = account(Stage.NEW)
    page = open_board(user("viewer"))
    expect(page.locator(".moves")).to_have_count(0)
    drag(page, here, Stage.INITIATED)
    assert_true(page)
    assert stages(here) == [Stage.NEW]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing_on_the_board_nor_in_its_menu(open_board, dan, axe, width, scheme):
    here = account(Stage.NEW, since=timezone.now() - timedelta(days=12), sales_contact_kind="AE")
    for stage in STAGES:
        account(stage, owner=dan, forecast=100)
    page = open_board(dan, viewport={"width": width, "height": 800}, color_scheme=scheme)
    axe(page)
    card(page, here).locator(".moves").click()
    expect(page.get_by_role("menu", name="Move to")).to_be_visible()
    axe(page)
