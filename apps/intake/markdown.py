"""Turns the HTML of other systems' notes into the Markdown ours are written in."""

from __future__ import annotations

import re
from typing import Any

import nh3
from markdownify import MarkdownConverter

from apps.crm.fields import Unreadable

KEPT = {
    *("p", "br", "div", "span", "b", "strong", "i", "em", "s", "del", "a", "ul", "ol", "li", "hr"),
    *(
        "blockquote",
        "code",
        "pre",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    ),
}
SCHEMES = {"http", "https", "mailto"}

# What would begin a tag or an entity in Markdown although the note says it in so many words.
_BEGINS_HTML = re.compile(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)")


class _Converter(MarkdownConverter):
    def escape(self, text: str, parent_tags: Any) -> str:
        return _BEGINS_HTML.sub(r"\\\g<0>", super().escape(text, parent_tags))  # type: ignore[misc]


_converter = _Converter(heading_style="ATX", bullets="-", autolinks=False)


def markdown(html: str) -> str:
    """HTML as Markdown, without scripts, images, and links that are none. Raises ``Unreadable``."""
    clean = nh3.clean(html, tags=KEPT, attributes={"a": {"href"}}, url_schemes=SCHEMES, link_rel=None)
    try:
        return _converter.convert(f"<div>{clean}</div>").strip()
    except RecursionError:
        raise Unreadable("is nested too deeply.") from None


def escaped(text: str) -> str:
    """One line of plain text as Markdown that shows just it."""
    return _converter.escape(" ".join(text.split()), set())
