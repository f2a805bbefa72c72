from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.utils import timezone

from apps.crm.models import User
from apps.intake.tokens import ApiToken


class Command(BaseCommand):
    help = "Make an API token for a user and print it, once; only its hash is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="The login it acts as.")
        parser.add_argument("--name", default="", help="What it is for.")
        parser.add_argument("--read-only", action="store_true", help="It may read, and change nothing.")

    def handle(self, *, user: str, name: str, read_only: bool, **options: Any) -> str:
        holder = User.objects.filter(username=user, is_active=True).first()
        if holder is None:
            raise CommandError(f"There is no active user with the login {user!r}.")
        return ApiToken.objects.issue(holder, now=timezone.now(), name=name, read_only=read_only)
