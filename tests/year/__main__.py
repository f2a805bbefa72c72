"""Starts the year on throw-away databases beside the one that DATABASE_URL names."""

import os
import sys
from importlib import import_module

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    # By its own name: what runs as __main__ cannot be handed to other processes.
    sys.exit(import_module("tests.year.full").main())
