"""What is told about each account, what must come of it in whatever order it comes in, and what did."""

from collections import defaultdict
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, Max, Min
from django.utils import timezone

from apps.crm.models import Account, Alert, Bill, Call, Contact, Purchase, Signal, StageTransition
from apps.crm.pipeline import Stage
from apps.intake.models import Event
from apps.intake.samples import About
from apps.playbooks.models import Act
from tests.chaos.sender import Told
from tests.factories import account, user


@dataclass(frozen=True)
class Story:
    """``events`` are door, type and which bill or call of the account; the rest is what must come of them."""

    events: tuple
    stage: Stage
    bills: dict
    calls: dict
    purchases: int
    signals: tuple
    alerts: tuple


MEETS = Story(
    events=(
        ("ingest", "account.upserted", ""),
        ("ingest", "conversation.outbound", ""),
        ("stripe", "invoice.created", "-a"),
        ("stripe", "invoice.finalized", "-a"),
        ("ingest", "conversation.inbound", ""),
        ("stripe", "invoice.payment_failed", "-a"),
        ("ingest", "call.booked", ""),
        ("stripe", "invoice.created", "-b"),
        ("ingest", "call.held", ""),
        ("stripe", "invoice.payment_failed", "-b"),
        ("stripe", "invoice.paid", "-a"),
        ("stripe", "customer.updated", ""),
        ("ingest", "sales.disqualified", ""),
        ("stripe", "invoice.voided", "-c"),
    ),
    stage=Stage.INTRO_CALL_COMPLETED,
    bills={"-a": ("paid", 0), "-b": ("open", 1), "-c": ("void", 0)},
    calls={"": "held"},
    purchases=0,
    signals=("sales_disqualified",),
    alerts=("-b",),
)
BUYS = Story(
    events=(
        ("ingest", "account.upserted", ""),
        ("stripe", "invoice.created", "-a"),
        ("ingest", "conversation.outbound", ""),
        ("stripe", "invoice.payment_failed", "-a"),
        ("ingest", "conversation.inbound", ""),
        ("stripe", "invoice.finalized", "-b"),
        ("shopify", "orders/paid", ""),
        ("stripe", "invoice.payment_failed", "-b"),
        ("ingest", "purchase.paid_call", ""),
        ("stripe", "invoice.marked_uncollectible", "-b"),
        ("calendly", "invitee.created", ""),
        ("stripe", "invoice.finalized", "-c"),
        ("calendly", "invitee.canceled", ""),
        ("stripe", "invoice.paid", "-c"),
    ),
    stage=Stage.PAID_CALL,
    bills={"-a": ("open", 1), "-b": ("uncollectible", 4), "-c": ("paid", 0)},
    calls={"": "canceled"},
    purchases=2,
    signals=(),
    alerts=("-a",),
)
STORIES = (MEETS, BUYS)
LENGTH = len(MEETS.events)
USERS = 12

# Written by the transaction that settles an event: one row for each time it was applied, whoever applied it.
APPLIED = """
CREATE TABLE chaos_applied (event bigint NOT NULL);
CREATE FUNCTION chaos_applied() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO chaos_applied VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER chaos_applied AFTER UPDATE OF state ON intake_event
    FOR EACH ROW WHEN (NEW.state = 'done') EXECUTE FUNCTION chaos_applied();
"""


class World:
    """So many events: accounts that are known already, and what is told about them, one event of each by turns."""

    def __init__(self, events):
        with connection.cursor() as cursor:
            cursor.execute(APPLIED)
        sender = user("specialist").email
        self.abouts = [self._account(number, sender) for number in range(-(-events // LENGTH))]
        rounds = [
            Told(door, type, About(**vars(about) | {"key": about.key + which}), number)
            for number in range(LENGTH)
            for about, story in self._stories()
            for door, type, which in [story.events[number]]
        ]
        self.told = rounds

    @staticmethod
    def _account(number, sender):
        made = account(Stage.NEW, since=timezone.now(), domain=f"c{number}.example")
        contact = Contact.objects.create(account=made, email=f"ann@c{number}.example")
        return About(made.external_id, made.name, contact.email, f"cus_{number}", sender, timezone.now())

    def _stories(self):
        return [(about, STORIES[number % len(STORIES)]) for number, about in enumerate(self.abouts)]

    def must(self):
        """By account: what each story says."""
        return {about.key: self._must(about, story) for about, story in self._stories()}

    @staticmethod
    def _must(about, story):
        bill = {
            which: f"in_sample_{About(**vars(about) | {'key': about.key + which}).number}"
            for which in story.bills
        }
        return {
            "stage": story.stage.value,
            "users": USERS,
            "bills": sorted((bill[which], *ends) for which, ends in story.bills.items()),
            "calls": sorted(story.calls.values()),
            "purchases": story.purchases,
            "signals": sorted(story.signals),
            "open alerts": sorted(f"bill:{bill[which]}" for which in story.alerts),
        }

    @staticmethod
    def came():
        """By account: what stands in the tables."""
        found = defaultdict(lambda: defaultdict(list))
        for what, rows in {
            "bills": Bill.objects.values_list("account", "external_id", "status", "attempts"),
            "calls": Call.objects.values_list("account", "status"),
            "purchases": Purchase.objects.values_list("account", "external_id"),
            "signals": Signal.objects.values_list("account", "kind"),
            "open alerts": Alert.objects.filter(kind="failed-payment", resolved_at=None).values_list(
                "account", "subject"
            ),
        }.items():
            for pk, *facts in rows:
                found[pk][what].append(facts[0] if len(facts) == 1 else tuple(facts))
        return {
            made.external_id: {
                "stage": made.stage,
                "users": made.users_count,
                "bills": sorted(found[made.pk]["bills"]),
                "calls": sorted(found[made.pk]["calls"]),
                "purchases": len(found[made.pk]["purchases"]),
                "signals": sorted(found[made.pk]["signals"]),
                "open alerts": sorted(found[made.pk]["open alerts"]),
            }
            for made in Account.objects.all()
        }

    def wrong(self):
        """A line for each account that did not come out as its story says."""
        must, came = self.must(), self.came()
        return [f"{key}: {came[key]}\n  not {must[key]}" for key in must if came[key] != must[key]]


def unsettled():
    """How many events are not applied yet."""
    return Event.objects.exclude(state=Event.State.DONE).count()


def applied():
    """By event: how many times it was applied."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT event, count(*) FROM chaos_applied GROUP BY event")
        return dict(cursor.fetchall())


def applied_a_second():
    """How many were applied in a second, from the first that came in to the last that was done."""
    of_all = Event.objects.filter(state=Event.State.DONE).aggregate(
        count=Count("pk"), took=Max("done_at") - Min("received_at")
    )
    return of_all["count"] / of_all["took"].total_seconds() if of_all["took"] else 0


def torn():
    """Accounts whose history has a hole, or does not lead to where they stand."""
    rows = defaultdict(list)
    for row in StageTransition.objects.order_by("account", "version"):
        rows[row.account_id].append(row)
    return [
        made.external_id
        for made in Account.objects.all()
        if [row.version for row in rows[made.pk]] != [*range(1, made.version + 1)]
        or [row.from_stage for row in rows[made.pk][1:]] != [row.to_stage for row in rows[made.pk][:-1]]
        or (rows[made.pk][-1].to_stage if rows[made.pk] else "") != made.stage
    ]


def repeated():
    """What was done twice: alerts about one thing, acts on one occasion, moves by one event."""
    return {
        "alerts": _repeated(Alert.objects.values_list("account", "kind", "subject")),
        "acts": _repeated(Act.objects.values_list("playbook", "account", "occasion")),
        "moves": _repeated(
            StageTransition.objects.filter(cause__startswith="event:").values_list(
                "account", "cause", "to_stage"
            )
        ),
    }


def _repeated(rows):
    rows = [*rows]
    return len(rows) - len({*rows})
