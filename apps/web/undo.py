"""A word said on the next page, with Undo for ten seconds."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest


def undoable(request: HttpRequest, text: str, address: str, /, **values: Any) -> None:
    """Say ``text``; Undo sends ``values`` to ``address``, as a form of the page would."""
    messages.info(request, text, extra_tags=json.dumps({"url": address, "values": values}))
