"""The calls desk as it is asked for: the calls to come and to mark, and the lanes of the paid ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import django_filters
from django.db import connection, models
from django.db.models import Exists, F, OuterRef

from apps.crm.filters import QueryFilter
from apps.crm.keyset import Column
from apps.crm.models import Call, CallHost
from apps.crm.pipeline import OPEN, Stage

# A purchase of old stands in its lane for good, so a lane is cut off somewhere; its count is not.
LANE_SIZE, WHOLE_LANE = 20, 300
SHOWN = 50
WEEK = 7

# Where a paid call stands, in the order it goes through, and what its lane is called.
LANES: dict[str, str] = {
    "bought": "Bought, not booked",
    "booked": "Booked",
    "held": "Held",
    "no_show": "No-show",
    "refunded": "Refunded",
}


@dataclass(frozen=True, slots=True)
class Paid:
    """A paid call in its lane: the purchase, the call, or both; ``of_lane`` is how many the lane holds."""

    lane: str
    of_lane: int
    account_id: int
    name: str
    stage: str
    stage_before_paid_call: str
    sales_contact_kind: str
    sales_contact_name: str
    amount: Decimal | None
    currency: str | None
    bought_at: datetime | None
    refunded_at: datetime | None
    call_id: int | None
    starts_at: datetime | None
    ends_at: datetime | None
    marked_at: datetime | None

    @property
    def missed_at(self) -> datetime | None:
        """When it was missed; a no-show marked ahead of the end is no earlier than the call itself."""
        if self.starts_at is None or self.lane != Call.Status.NO_SHOW:
            return None
        return max(self.marked_at or self.ends_at or self.starts_at, self.starts_at)

    @property
    def ours_already(self) -> bool:
        """Whether they would get the call for nothing: they are in the pipeline, or were when they bought it."""
        stage = self.stage_before_paid_call if self.stage == Stage.PAID_CALL else self.stage
        return stage in OPEN


# Purchases and calls know nothing of each other but the account. The first purchase that stands goes with the first
# call since the account began to buy, and so on; a missed call that was booked anew stands for nothing any more.
_PAID = """
WITH kept AS (
    SELECT *, row_number() OVER (PARTITION BY account_id ORDER BY bought_at, id) AS place
    FROM crm_purchase WHERE refunded_at IS NULL
), met AS (
    SELECT call.*, row_number() OVER (PARTITION BY account_id ORDER BY starts_at, id) AS place
    FROM crm_call call
    JOIN (SELECT account_id, min(bought_at) AS since FROM kept GROUP BY account_id) AS first USING (account_id)
    WHERE kind = 'consultation' AND status <> 'canceled' AND starts_at >= since
      AND NOT (status = 'no_show' AND EXISTS (
          SELECT FROM crm_call anew
          WHERE anew.account_id = call.account_id AND anew.kind = 'consultation'
            AND anew.status IN ('booked', 'held') AND anew.starts_at > call.starts_at))
), paid AS (
    SELECT coalesce(met.status, 'bought') AS lane, account_id, amount, currency, bought_at, refunded_at,
           met.id AS call_id, starts_at, ends_at, marked_at
    FROM kept FULL JOIN met USING (account_id, place)
    UNION ALL
    SELECT 'refunded', account_id, amount, currency, bought_at, refunded_at, NULL, NULL, NULL, NULL
    FROM crm_purchase WHERE refunded_at IS NOT NULL
    UNION ALL
    SELECT status, account_id, NULL, NULL, NULL, NULL, id, starts_at, ends_at, marked_at
    FROM crm_call call
    WHERE kind = 'consultation' AND status <> 'canceled' AND NOT EXISTS (
        SELECT FROM crm_purchase WHERE account_id = call.account_id AND bought_at <= call.starts_at)
), placed AS (
    SELECT *, count(*) OVER (PARTITION BY lane) AS of_lane, row_number() OVER (
        PARTITION BY lane ORDER BY
            CASE lane WHEN 'bought' THEN bought_at WHEN 'booked' THEN starts_at WHEN 'no_show' THEN marked_at END,
            CASE lane WHEN 'held' THEN starts_at WHEN 'refunded' THEN refunded_at END DESC, account_id, call_id
    ) AS place
    FROM paid
)
SELECT lane, of_lane, account_id, account.*, amount, currency, bought_at, refunded_at, call_id, starts_at, ends_at,
       marked_at
-- The limit keeps the planner from reading every account for the few that are shown.
FROM placed CROSS JOIN LATERAL (
    SELECT name, stage, stage_before_paid_call, sales_contact_kind, sales_contact_name
    FROM crm_account WHERE id = placed.account_id LIMIT 1
) AS account
WHERE place <= CASE WHEN lane = %(whole)s THEN %(most)s ELSE %(size)s END
ORDER BY place
"""


def paid_calls(whole: str = "") -> dict[str, list[Paid]]:
    """The paid calls by lane, what comes first at the top; of the lane ``whole`` all that fit. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_PAID, {"whole": whole, "most": WHOLE_LANE, "size": LANE_SIZE})
        rows = [Paid(*values) for values in cursor.fetchall()]
    return {lane: [row for row in rows if row.lane == lane] for lane in LANES}


def hosts_of(calls: Collection[int]) -> dict[int, list[int]]:
    """The ids of the colleagues who take each of these calls. One query."""
    found: dict[int, list[int]] = defaultdict(list)
    for call, user in CallHost.objects.filter(call__in=calls).order_by("pk").values_list("call", "user"):
        found[call].append(user)
    return found


class CallFilter(QueryFilter):
    """The booked calls a query string asks for."""

    everything = Call.objects
    sorts = {"starts": Column(F("starts_at"), models.DateTimeField())}
    default_sort = "starts"

    kind = django_filters.ChoiceFilter(
        label="Kind", choices=[(kind.value, kind.label) for kind in Call.Kind if kind.value]
    )
    lane = django_filters.ChoiceFilter(method="whole", label="Lane", choices=list(LANES.items()))
    host = django_filters.ChoiceFilter(method="hosted", label="Host", choices=[])

    def _late_choices(self) -> dict[str, Callable[[], list[tuple[str, str]]]]:
        return {"host": lambda: self._people_choices()}

    def whole(self, calls: models.QuerySet[Any], name: str, value: str) -> models.QuerySet[Any]:
        """A lane to be shown whole narrows no call."""
        return calls

    def hosted(self, calls: models.QuerySet[Any], name: str, value: str) -> models.QuerySet[Any]:
        hosts = CallHost.objects.filter(call=OuterRef("pk"))
        if value == "none":
            return calls.filter(~Exists(hosts))
        return calls.filter(Exists(hosts.filter(user=self.user.pk if value == "me" else int(value))))

    def to_mark(self) -> models.QuerySet[Any]:
        """Calls that are over, and nobody has said how they went; the latest first."""
        now = self.numbers.now
        over = self.qs.filter(status=Call.Status.BOOKED, starts_at__lt=now, ends_at__lte=now)
        return over.select_related("account").order_by("-starts_at", "-pk")

    def coming(self, until: datetime) -> models.QuerySet[Any]:
        """Calls that begin before ``until`` and are not over, the next first."""
        # No call takes a day: what began before that is over, and the index need not be read from its start.
        now = self.numbers.now
        ahead = self.qs.filter(
            status=Call.Status.BOOKED,
            starts_at__gt=now - timedelta(days=1),
            starts_at__lt=until,
            ends_at__gt=now,
        )
        return ahead.select_related("account").order_by("starts_at", "pk")
