"""Celery with many ticks, small slices and Slack without its pace, for a crowd of workers: `--app tests.crowd.app`."""

import django

# Before the app beside this is imported, which reaches into what it is about to run.
django.setup()

TICKS = "onramp:crowd"
