"""Starts the year on throw-away databases beside the one that DATABASE_URL names."""

import os
import runpy

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    runpy.run_module("tests.year.full", run_name="__main__")
