"""`manage.py send_sample_event DOOR TYPE`: tells a local server what another system would, rightly signed."""

from __future__ import annotations

import ipaddress
import json
from argparse import ArgumentParser
from contextlib import closing
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.crm.models import Account
from apps.intake.doors import DOORS
from apps.intake.samples import SAMPLES, About, Signed, Unsendable, sample

SECONDS = 10


class Command(BaseCommand):
    help = "Sends a sample event to a local server, rightly signed; without a type lists those there are."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("door", nargs="?", help=f"One of {', '.join(SAMPLES)}.")
        parser.add_argument("type", nargs="?", help="What is told, such as invoice.payment_failed.")
        parser.add_argument(
            "--account",
            metavar="EXTERNAL_ID",
            help="Whom it is about; without it, somebody whom nobody knows.",
        )
        parser.add_argument("--url", default=settings.BASE_URL, help="The server, on this machine.")

    def handle(
        self, *, door: str | None, type: str | None, account: str | None, url: str, **options: Any
    ) -> None:
        if door is not None and door not in SAMPLES:
            raise CommandError(f"There is no sample for a door “{door}”; there are {', '.join(SAMPLES)}.")
        if door is None or type is None:
            self.stdout.write(_listed([door] if door else [*SAMPLES]))
            return
        if type not in SAMPLES[door]:
            raise CommandError(f"There is no such event at this door. These there are:\n{_listed([door])}")
        place = _place(url)
        secret = next(iter(DOORS[door].secrets), None)
        if secret is None:
            raise CommandError(f"This door is closed: {DOORS[door].setting} is not set.")
        about = _about(account, timezone.now())
        signed = sample(door, type, about, secret)
        status, answer = _post(place, f"/hooks/{door}/", signed)
        if status != 200:
            raise CommandError(f"The server answered {status}: {answer.get('detail', 'nothing more')}")
        name = DOORS[door].identify(signed.headers, DOORS[door].parse(signed.body))[0]
        said = "Kept" if answer.get("kept") else "Told before, so nothing follows"
        self.stdout.write(
            f"{said}: {type} about {about.name}. {url.rstrip('/')}/events/?q={quote(name, safe='')}"
        )


def _listed(doors: list[str]) -> str:
    return "\n".join(f"{door} {type}" for door in doors for type in SAMPLES[door])


def _place(url: str) -> SplitResult:
    """Where to send it. What is sent is made up, so it goes to a server for trying out on this machine alone."""
    place = urlsplit(url)
    if not settings.DEBUG:
        raise CommandError(
            "A sample event is made up: it is sent with DEBUG alone, to a server for trying out."
        )
    if place.scheme != "http" or not _is_loopback(place.hostname or ""):
        raise CommandError(
            f"A sample event goes to this machine alone, such as http://127.0.0.1:8000, not to {url}."
        )
    return place


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _about(external_id: str | None, now: datetime) -> About:
    if external_id is None:
        return About.stranger(now=now)
    account = Account.objects.filter(external_id=external_id).first()
    if account is None:
        raise CommandError(f"There is no account with the external id {external_id!r}.")
    try:
        return About.account(account, now=now)
    except Unsendable as error:
        raise CommandError(str(error)) from None


def _post(place: SplitResult, path: str, signed: Signed) -> tuple[int, dict[str, Any]]:
    """The status and the object that were answered; asks the machine itself, without a proxy or a redirect."""
    with closing(HTTPConnection(place.hostname or "", place.port or 80, timeout=SECONDS)) as server:
        try:
            server.request("POST", path, signed.body, signed.headers)
            answer = server.getresponse()
            said = json.loads(answer.read() or b"{}")
        except (OSError, HTTPException) as error:
            raise CommandError(
                f"No server answers at {place.geturl()}: {error}. Is `make run` running?"
            ) from None
        except ValueError:
            said = {}
        return answer.status, said if isinstance(said, dict) else {}
