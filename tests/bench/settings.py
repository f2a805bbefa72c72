"""The settings of a deployment, with the static files in a folder that goes with the run."""

import os
from pathlib import Path

from config.settings import *  # noqa: F403

STATIC_ROOT = Path(os.environ["BENCH_STATIC"])
