"""What counts as one occasion: a playbook acts once on each, however often it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import F, Func, OuterRef, Subquery, TextField, Value
from django.db.models.functions import Cast, Coalesce, Concat

from apps.crm.models import StageTransition
from apps.crm.pipeline import Stage


@dataclass(frozen=True)
class Once:
    """A kind of occasion: ``subject`` is the SQL that tells one of an account's occasions from the next."""

    kind: str
    says: str
    subject: Any

    @property
    def occasion(self) -> Concat:
        """The occasion as the acts keep it, such as ``renewal:2026-12-01``."""
        return Concat(Value(f"{self.kind}:"), Cast(self.subject, TextField()), output_field=TextField())


RENEWAL = Once(
    "renewal",
    "a renewal; a date that moves by less than 15 days is still the same one",
    Func(F("renewal_anchor_on"), Value("YYYY-MM-DD"), function="to_char", output_field=TextField()),
)
# Undoing a move out of 1 leads back into the same entry.
ENTRY = Once(
    "entry",
    "an entry into the pipeline",
    Subquery(
        StageTransition.objects.filter(account=OuterRef("pk"), to_stage=Stage.NEW)
        .exclude(cause__startswith="undo:")
        .order_by("-version")
        .values("pk")[:1]
    ),
)
ACCOUNT = Once("account", "an account, ever", F("pk"))
BILL = Once("bill", "a bill", F("bill__external_id"))
BILL_PERIOD = Once(
    "period",
    "a bill period",
    Func(
        Coalesce("renewal_anchor_on", "due"),
        Value("YYYY-MM-DD"),
        function="to_char",
        output_field=TextField(),
    ),
)
FIRST_BILL = Once("bill", "a bill", F("bill_id"))
PURCHASE = Once("purchase", "a purchase", F("purchase__external_id"))
CLOSING = Once("closing", "a closing; a late reply from 6a to 6b is still the same one", F("closing_pk"))
SURVEY = Once("survey", "an answer; a changed one is another", F("answer"))
# The two below are told apart by a column of their playbook: what another system calls them may be too long.
CALL = Once("call", "a missed call, and once more when they stay silent", F("missed"))
SIGNAL = Once("signal", "a signal", F("told"))
