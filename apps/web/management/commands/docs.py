import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.web.generated_docs import PAGES


class Command(BaseCommand):
    help = "Writes the pages of docs/ that are read off the code; --check only says which are stale."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if any is stale")

    def handle(self, *, check: bool, **options: Any) -> None:
        stale = False
        for name, page in PAGES.items():
            path, text = settings.BASE_DIR / name, page()
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                continue
            stale = True
            if not check:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
            self.stdout.write(f"{name} is stale; `make docs` writes it anew" if check else f"wrote {name}")
        if check and stale:
            sys.exit(1)
