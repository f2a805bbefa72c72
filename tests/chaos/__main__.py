"""Names a folder, a port and secrets of this run's own before anything of Django is loaded."""

import os
import runpy
import shutil
import signal
import socket
import sys
import tempfile
from base64 import b64encode
from pathlib import Path

import django

from config.embedded.process import set_death_signal
from config.embedded.servers import NAME, Postgres, State, Valkey
from config.embedded.supervisor import DOOR_SECRETS, SAMPLED


def free_port():
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


def environment(folder):
    """What this process and all it starts go by. Servers that the environment names are never touched."""
    state = State(folder)
    secret = "whsec_" + b64encode(os.urandom(24)).decode()
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "STATE_DIR": str(folder),
        "DATABASE_URL": Postgres(state).url,
        "REDIS_URL": Valkey(state).url,
        "PORT": str(free_port()),
        "SECRET_KEY": secret * 2,
        "DEBUG": "1",
        "DEMO": "0",
        "SLACK_WEBHOOK_URL": "",
        "EMAIL_URL": "",
        **dict.fromkeys(DOOR_SECRETS, secret),
        **SAMPLED,
    }


# What is run: by default everything is killed by turns.
SCENARIOS = {"": "full", "mute": "mute"}

if __name__ == "__main__":
    scenario = sys.argv.pop(1) if sys.argv[1:] and sys.argv[1] in SCENARIOS else ""
    set_death_signal(signal.SIGTERM)
    folder = Path(tempfile.mkdtemp(prefix=f"{NAME}-")).resolve()
    for given in ("BASE_URL", "ALLOWED_HOSTS"):
        os.environ.pop(given, None)
    os.environ |= environment(folder)
    try:
        django.setup()
        runpy.run_module(f"tests.chaos.{SCENARIOS[scenario]}", run_name="__main__")
    finally:
        sys.stdout.flush()
        if "CHAOS_KEEP" in os.environ:
            print("kept", folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
