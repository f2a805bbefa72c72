"""Starts the benchmark, or one job of it, as a deployment is started: no DEBUG, a key of its own."""

import os
import runpy
import secrets
import sys
import tempfile
from base64 import b64encode

import django

from tests.bench import HOST

# What might be set on this machine would make it another deployment than the one measured.
NOT_OURS = ("BASE_URL", "DEMO", "DEBUG", "OIDC_ISSUER")


def start(module: str) -> None:
    django.setup()
    runpy.run_module(f"tests.bench.{module}", run_name="__main__")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        start(sys.argv.pop(1))
    else:
        with tempfile.TemporaryDirectory(prefix="onramp-bench-") as folder:
            for name in NOT_OURS:
                os.environ.pop(name, None)
            os.environ |= {
                "DJANGO_SETTINGS_MODULE": "tests.bench.settings",
                "SECRET_KEY": secrets.token_urlsafe(50),
                "ALLOWED_HOSTS": HOST,
                "BENCH_STATIC": folder,
                "INGEST_WEBHOOK_SECRETS": f"whsec_{b64encode(secrets.token_bytes(24)).decode()}",
            }
            start("run")
