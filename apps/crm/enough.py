"""When what could go on for long leaves the rest to its next run."""

from collections.abc import Callable
from time import monotonic

# Asked now and then whether to leave the rest to the next run.
Enough = Callable[[], bool]


def never() -> bool:
    """Go on to the end."""
    return False


def after(seconds: float) -> Enough:
    """Go on for so many seconds from now."""
    until = monotonic() + seconds
    return lambda: monotonic() > until
