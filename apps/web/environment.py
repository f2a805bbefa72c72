"""What every page template can call: the Jinja2 environment of our own pages."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse
from jinja2 import Environment, StrictUndefined


def environment(**options: Any) -> Environment:
    """Build the environment; a name that is not there raises instead of printing nothing."""
    env = Environment(**options | {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True})  # noqa: S701
    env.globals.update(static=static, url=lambda name, *args: reverse(name, args=args))
    return env
