import sys
from typing import Any

from django.core.management.base import BaseCommand

from apps.web.doctor import examine


class Command(BaseCommand):
    help = "Checks what Onramp stands on and what it keeps, a line each; exit 1 if any is bad."
    requires_system_checks: list[str] = []

    def handle(self, **options: Any) -> None:
        findings = []
        for finding in examine():
            self.stdout.write(str(finding))
            findings.append(finding)
        if not all(finding.well for finding in findings):
            sys.exit(1)
