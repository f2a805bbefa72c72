"""The Celery app without the sweep that finds what no bell was heard for: what the sweep is there for shows."""

from config.celery import app

del app.conf.beat_schedule["events"]
