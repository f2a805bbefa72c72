"""A board under the hands, for the stories told of it."""

from playwright.sync_api import expect

from apps.crm.models import StageTransition

VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(
  `${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""
# Wide enough for all lanes at once.
WIDE = {"viewport": {"width": 2800, "height": 900}}


def card(page, of):
    return page.locator(f"#a{of.pk}")


def grab(page, of, to):
    """Pick up a card and carry it over a lane, without letting go."""
    card(page, of).scroll_into_view_if_needed()
    box, lane = card(page, of).bounding_box(), page.locator(f"#lane-{to}").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 9, y + 9, steps=3)
    page.mouse.move(lane["x"] + lane["width"] / 2, lane["y"] + 160, steps=6)


def drag(page, of, to):
    grab(page, of, to)
    page.mouse.up()


def said(page, text):
    expect(page.locator(".toast", has_text=text).last).to_be_visible()


def stages(of):
    """The stages an account has been moved to, the first load included."""
    ledger = StageTransition.objects.filter(account=of).order_by("version")
    return list(ledger.values_list("to_stage", flat=True))
