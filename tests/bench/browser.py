"""What a person feels: Chromium with its processor slowed four times, at a server with the settings of a deployment.

Its own instruments are read: Largest Contentful Paint, Layout Shift, Event Timing. An interaction that took less than
16 ms the browser does not tell of; it counts as 16. Nothing here waits by `expect`, which reads the page meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from playwright.sync_api import sync_playwright

from apps.crm.models import Account
from apps.crm.pipeline import Stage
from tests.bench.database import Databases
from tests.bench.goals import Result, percentile
from tests.bench.rounds import ROUNDS
from tests.bench.servers import Server, serving
from tests.browser.boards import card, grab
from tests.browser.chromium import launched

SLOWED = 4
TIMES = 8
LEAST_TOLD = 16
PATIENCE = 60_000
# A hand rests on a thing before it presses, and over a lane before it lets go; a press takes a moment, too.
RESTS, PRESSES = 100, 60
SIZE = {"width": 1440, "height": 900}
COUNT = """
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => { felt.all = (felt.all ?? 0) + 1; }, true)
"""
WATCH = Path(__file__).with_name("watch.js").read_text()
# Cards are moved between these two lanes, which stand beside each other, and take them both ways.
LANES = (Stage.ENGAGED_EMAIL, Stage.CALL_BOOKED)


class Desk(NamedTuple):
    """A browser, a server, and somebody who is signed in at it."""

    browser: Any
    server: Server
    session: str

    @contextmanager
    def page(self) -> Iterator[Any]:
        """A window that has seen nothing yet, slowed and watched."""
        address = f"http://127.0.0.1:{self.server.port}"
        context = self.browser.new_context(base_url=address, viewport=SIZE)
        context.set_default_timeout(PATIENCE)
        context.add_cookies([{"name": "sessionid", "value": self.session, "url": address}])
        context.add_init_script(WATCH)
        page = context.new_page()
        devtools = context.new_cdp_session(page)
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWED})
        # The time of its main thread, which other work on the machine does not blur.
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.devtools = devtools
        yield page
        context.close()


def measure(databases: Databases, size: int, sessions: list[str]) -> Iterator[Result]:
    with ExitStack() as stack:
        address = stack.enter_context(databases.copy("seed", "web"))
        databases.use("web")
        found = Account.objects.filter(stage=LANES[0]).order_by("renewal_on", "pk")
        accounts = list(found[: 2 * TIMES])
        ours = stack.enter_context(
            serving("config.wsgi:application", address, DJANGO_SETTINGS_MODULE="tests.bench.plain")
        )
        browser = launched(stack.enter_context(sync_playwright()))
        if not browser:
            raise SystemExit("No Chromium was found: install one, for example Debian's chromium.")
        stack.callback(browser.close)
        desk = Desk(browser, ours, sessions[0])
        for name, path in (("list", "/"), ("board", "/board/")):
            yield first_visit(desk, f"browser: {name}, first visit", path, size)
        yield many_cards(desk, size)
        yield from acts(desk, accounts, size)


def first_visit(desk: Desk, name: str, path: str, size: int) -> Result:
    """Cold each time, but for the server; the first visit is not counted."""
    rounds = []
    for _ in range(ROUNDS + 1):
        with desk.page() as page:
            asked: list[str] = []
            loaded: list[float] = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.devtools.send("Network.enable")
            page.devtools.on(
                "Network.loadingFinished",
                lambda told, loaded=loaded: loaded.append(told["encodedDataLength"]),
            )
            page.goto(path)
            page.wait_for_load_state("networkidle")
            # The browser tells of a paint a little after it.
            page.wait_for_function("felt.painted")
            felt = page.evaluate("felt")
            rounds.append((felt["painted"], felt["shift"], len(asked), sum(loaded), spent(page)))
    painted, shift, requests, weight, cpu = (median(column) for column in zip(*rounds[1:], strict=True))
    note = f"until the largest part is painted; {weight / 1000:.0f} KB come over the line"
    return Result(name, size, painted, cpu_ms=cpu, shift=shift, requests=int(requests), note=note)


def many_cards(desk: Desk, size: int) -> Result:
    """The board once a thousand cards stand on it, or all there are."""
    with desk.page() as page:
        page.goto("/board/")
        page.wait_for_load_state("networkidle")
        for _ in range(40):
            if page.locator(".card").count() >= 1000 or not page.locator(".lane .more").count():
                break
            page.evaluate("document.querySelectorAll('.lane .more a').forEach((link) => link.click())")
            page.wait_for_load_state("networkidle")
        number = page.locator(".card").count()
        took = felt_of(page, lambda: keys_on_the_board(page))
    return Result(
        "browser: keys on a long board",
        size,
        median(took),
        p75_ms=percentile(took, 0.75),
        note=f"{number:,} cards",
    )


def keys_on_the_board(page: Any) -> None:
    page.locator("#lane-initiated .card > a").first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowDown", "m", "Escape", "ArrowLeft") * 2:
        page.keyboard.press(key)
        page.wait_for_timeout(60)


def acts(desk: Desk, accounts: list[Account], size: int) -> Iterator[Result]:
    by_key, by_hand = accounts[:TIMES], accounts[TIMES:]
    drops: list[dict[str, float]] = []
    does: dict[str, tuple[str, Callable[[Any], None]]] = {
        "open an account": ("/", open_accounts),
        "move by key": ("/board/", partial(move_by_key, accounts=by_key)),
        "move by drag": ("/board/", partial(move_by_drag, accounts=by_hand, drops=drops)),
        "filter": ("/", filter_by_stage),
        "type in a note": ("/", type_a_note),
        "type in Find": ("/", type_in_find),
    }
    for what, (path, act) in does.items():
        with desk.page() as page:
            page.goto(path)
            page.wait_for_load_state("networkidle")
            before = spent(page)
            took = felt_of(page, partial(act, page))
            each = (spent(page) - before) / len(took)
        note = f"interaction to next paint, {len(took)} interactions, the slowest {max(took):.0f} ms"
        yield Result(
            f"browser: {what}", size, median(took), p75_ms=percentile(took, 0.75), cpu_ms=each, note=note
        )
    for part, name in (("frame", "next frame"), ("answer", "answer")):
        took = [drop[part] for drop in drops]
        yield Result(f"browser: drop to {name}", size, median(took), percentile(took, 0.95))


def spent(page: Any) -> float:
    """What a page has cost its main thread so far, in ms."""
    told = page.devtools.send("Performance.getMetrics")["metrics"]
    return 1000 * next(one["value"] for one in told if one["name"] == "TaskDuration")


def felt_of(page: Any, act: Callable[[], None]) -> list[float]:
    """How long each interaction of an act took until its next paint, in ms."""
    page.evaluate("felt.events = []")
    page.evaluate(COUNT)
    act()
    # The browser tells of an event a little after it.
    page.wait_for_timeout(500)
    told: dict[int, float] = {}
    for event in page.evaluate("felt.events"):
        told[event["interactionId"]] = max(event["duration"], told.get(event["interactionId"], 0))
    untold = page.evaluate("felt.all ?? 0") - len(told)
    return [*told.values(), *[float(LEAST_TOLD)] * untold]


def press(page: Any, what: Any) -> None:
    what.hover()
    page.wait_for_timeout(RESTS)
    page.mouse.down()
    page.wait_for_timeout(PRESSES)
    page.mouse.up()


def open_accounts(page: Any) -> None:
    for number in range(TIMES):
        press(page, page.locator("#rows > tr th a").nth(number))
        page.locator(".over:focus").wait_for()
        page.wait_for_timeout(200)
        page.keyboard.press("Escape")
        page.locator(".over").wait_for(state="detached")


def move_by_key(page: Any, accounts: list[Account]) -> None:
    for of in accounts:
        card(page, of).locator("> a").focus()
        page.keyboard.press("m")
        page.locator("#moves :focus").wait_for()
        page.keyboard.type("3b", delay=40)
        page.keyboard.press("Enter")
        _arrived(page, of)


def move_by_drag(page: Any, accounts: list[Account], drops: list[dict[str, float]]) -> None:
    for of in accounts:
        grab(page, of, LANES[1])
        page.wait_for_timeout(RESTS)
        page.mouse.up()
        _arrived(page, of)
    page.wait_for_timeout(200)
    drops += page.evaluate("felt.drops")


def _arrived(page: Any, of: Account) -> None:
    """Wait until the card stands in its new lane as the database has it."""
    page.locator(f"#lane-{LANES[1]} #a{of.pk}:not([aria-busy])").wait_for()
    page.wait_for_timeout(200)


def filter_by_stage(page: Any) -> None:
    press(page, page.locator("#filter-button"))
    for number in range(TIMES):
        with page.expect_response(lambda answer: answer.request.resource_type == "fetch"):
            press(page, page.locator("#filters input[name=stage]").nth(1 + number // 2))
        page.wait_for_timeout(300)


def type_a_note(page: Any) -> None:
    page.locator("#rows > tr th a").first.focus()
    page.keyboard.press("o")
    page.locator("#form textarea:focus").wait_for()
    page.keyboard.type("They want to see the numbers before Monday.", delay=40)


def type_in_find(page: Any) -> None:
    page.keyboard.press("/")
    page.locator("#palette input:focus").wait_for()
    for word in ("meri", "copp", "north"):
        page.keyboard.type(word, delay=120)
        page.locator("#found :is(a, button)").first.wait_for()
        page.locator("#palette input").press("ControlOrMeta+a")
