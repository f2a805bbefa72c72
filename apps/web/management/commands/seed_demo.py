from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.crm import demo
from apps.crm.models import Entry


class Command(BaseCommand):
    help = "Makes demo logins and accounts with a history; the same seed and day make the same data."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--accounts", type=int, default=400, help="how many (400)")
        parser.add_argument("--seed", type=int, default=1, help="another number makes other accounts (1)")

    def handle(self, *, accounts: int, seed: int, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("Demo logins have a known password: they are made with DEBUG only.")
        if accounts < 1 or seed < 0:
            raise CommandError("--accounts takes a number from 1, --seed a number from 0.")
        now = timezone.now()
        logins = demo.add_logins(now=now)
        made = demo.add_accounts(accounts, seed=seed, now=now)
        # The reports tell of them at once, where no worker runs yet.
        Entry.objects.bring_up_to_date()
        if not logins and not made:
            self.stdout.write(f"Nothing to do: the {accounts:,} demo accounts of seed {seed} are here.")
            return
        self.stdout.write(f"Made {made:,} demo accounts and {logins} logins.")
        self.stdout.write(f"Logins: {', '.join(demo.LOGINS)}; password {demo.PASSWORD}")
