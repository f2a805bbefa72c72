"""The ground: settings, addresses, the Celery app. Importing it binds jobs to our broker, also in a web process."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
