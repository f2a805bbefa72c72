"""The Chromium of this machine, for the browser tests and for the benchmark."""

import shutil
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launched(playwright: Any) -> Any:
    """Start it without a window; None where this machine has none."""
    path = next(filter(None, map(shutil.which, NAMES)), None) or playwright.chromium.executable_path
    return playwright.chromium.launch(executable_path=path, args=FLAGS) if Path(path).exists() else None
