"""Notes as people write them, in Markdown, made safe to show."""

from __future__ import annotations

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
_SCHEMES = ("http:", "https:", "mailto:")
_MARKDOWN.validateLink = lambda url: url.lower().startswith(_SCHEMES)  # type: ignore[method-assign]
_TAGS = {"p", "br", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "hr", "a"}
_TAGS |= {"h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"}
# Marks that turn the direction of what follows: a name or an address could be made to read as another.
_TURNS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])


def rendered(text: str) -> Markup:
    """Markdown as HTML of an allow-list: no HTML of its own, no pictures, links to web and mail only."""
    return Markup(
        nh3.clean(
            _MARKDOWN.render(text.translate(_TURNS)),
            tags=_TAGS,
            attributes={"a": {"href"}},
            url_schemes={scheme.rstrip(":") for scheme in _SCHEMES},
            link_rel="noopener noreferrer",
        )
    )
