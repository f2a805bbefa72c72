"""What an answer says beside its page: the toast, and what Undo would send."""

import json
import re
from html import unescape


def toast(answer):
    return json.loads(answer.headers["HX-Trigger"])["toast"]


def undone_by(answer):
    """What Undo would send, of a word said on the page."""
    return json.loads(unescape(re.search(r'data-undo-by="([^"]+)"', answer.text)[1]))


def undo(browser, answer):
    back = undone_by(answer)
    return browser.post(back["url"], back["values"], follow=True)
