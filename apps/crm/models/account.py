from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.core.exceptions import EmptyResultSet
from django.core.validators import MaxLengthValidator, MinValueValidator
from django.db import connection, models, transaction
from django.db.models import Case, Exists, F, Func, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Cast, Coalesce, Concat, Greatest, TruncDate, Upper
from django.utils import timezone

from apps.crm.models.attention import Attended
from apps.crm.models.call import Call
from apps.crm.models.contact import Contact
from apps.crm.models.label import AccountLabel, Label
from apps.crm.models.moving import Conflict, Movable
from apps.crm.models.note import Note
from apps.crm.models.notice import Notice
from apps.crm.models.outreach import Reachable
from apps.crm.models.scoping import ScopedQuerySet
from apps.crm.models.task import Task
from apps.crm.models.transition import StageTransition
from apps.crm.models.user import User
from apps.crm.pipeline import ONBOARDED, OPEN, Engagement, Stage
from apps.crm.policy import Numbers
from apps.crm.scope import ASKING, Asks, Outcome


class Plan(models.TextChoices):
    UNKNOWN = "", "Unknown"
    PAY_AS_YOU_GO = "pay_as_you_go", "Pay as you go"
    STARTUP = "startup", "Startup"
    YC = "yc", "YC"
    BOOST = "boost", "Boost"
    ANNUAL = "annual", "Annual"


class PaymentRisk(models.TextChoices):
    NOT_ASSESSED = "", "Not assessed"
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"


def _call_ahead(numbers: Numbers) -> Exists:
    """Whether a call, booked or held, stands between the start of the team's today and the end of the renewal's day."""
    return Exists(
        Call.objects.filter(
            account=OuterRef("pk"),
            status__in=(Call.Status.BOOKED, Call.Status.HELD),
            starts_at__gte=numbers.start_of(numbers.today),
            starts_at__lt=Func(
                OuterRef("renewal_on"),
                Value(numbers.time_zone),
                template="((%(expressions)s)",
                arg_joiner=" + 1)::timestamp AT TIME ZONE ",
                output_field=models.DateTimeField(),
            ),
        )
    )


def first_outreach_due_on(entered_at: datetime, renewal_on: date | None, numbers: Numbers) -> date:
    """The earlier of two rules: so long after entry, or so long before the renewal; never before entry."""
    entered = numbers.day_of(entered_at)
    due = entered + timedelta(days=numbers.outreach_after_entry_days)
    if renewal_on is not None:
        due = min(due, renewal_on - timedelta(days=numbers.outreach_before_renewal_days))
    return max(due, entered)


class Words(Func):
    """The words of a search text, as the database looks them up: one by one, or by how they begin."""

    # A word has to fit into an index: what stands further back is found as a part of the text only.
    template = (
        "array_to_tsvector(array_remove("
        "regexp_split_to_array(left(%(expressions)s, 500), '[^[:alnum:]]+'), ''))"
    )
    output_field = SearchVectorField()


# They wrote, and we have not written since.
WAITING = Q(last_reply_at__isnull=False) & (
    Q(last_outreach_at__isnull=True) | Q(last_reply_at__gt=F("last_outreach_at"))
)


class Snapshot(Func):
    """Which transactions had ended when the statement began; a mark for ``touched_since``."""

    template = "pg_current_snapshot()::text"
    output_field = models.TextField()


class ThisTransaction(Func):
    """The transaction under way, as ``touched`` keeps it."""

    template = "pg_current_xact_id()::text::bigint"
    output_field = models.BigIntegerField()


def mark_of_now() -> str:
    """The mark of this moment."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_snapshot()::text")
        mark: str = cursor.fetchone()[0]
        return mark


class AccountQuerySet(ScopedQuerySet):
    def locked(self, pk: int) -> Account:
        """An account as it is now, its row taken for the rest of the transaction, before anything that hangs on it."""
        found: Account = self.select_for_update(no_key=True).get(pk=pk)
        return found

    def in_open_stages(self) -> AccountQuerySet:
        return self.filter(stage__in=OPEN)

    def served(self) -> AccountQuerySet:
        """Accounts we look after: in an open stage, or onboarded (6a, 6b)."""
        return self.filter(stage__in=(*OPEN, *ONBOARDED))

    def renewing_within(self, days: int, *, today: date) -> AccountQuerySet:
        """Accounts whose next bill renews today or in up to ``days`` days."""
        return self.filter(renewal_on__range=(today, today + timedelta(days=days)))

    def matching(self, text: str) -> AccountQuerySet:
        """Accounts with every one of these words in name, domain or external id, or with exactly this contact.

        One or two letters are the beginning of a name. Reads contacts, one query, only for an e-mail address.
        """
        text = text.strip()
        if len(text) < 3:
            beginning = self.alias(upper_name=Upper("name"))
            return beginning.filter(upper_name__startswith=Upper(Value(text)))
        found = Q()
        for word in text.split()[:8]:
            found &= Q(search_text__contains=Upper(Value(word)))
        if "@" in text:
            # Ids rather than a subquery: the database can join two indexes then, instead of reading every account.
            contacts = Contact.objects.filter(email=text.lower()).values_list("account", flat=True)
            found |= Q(pk__in=list(contacts[:1000]))
        return self.filter(found)

    def touched_since(self, mark: str) -> AccountQuerySet:
        """Accounts whose shown facts were changed by a transaction that had not ended when ``mark`` was taken.

        Nothing slips in behind a mark, however long its transaction took. Annotated with the next ``mark``.
        """
        unseen = Func(
            F("touched"),
            Value(mark),
            template="(NOT pg_visible_in_snapshot(%(expressions)s::pg_snapshot))",
            arg_joiner="::text::xid8, ",
            output_field=models.BooleanField(),
        )
        oldest = int(mark.partition(":")[0])
        return self.filter(Q(touched__gte=oldest) & Q(unseen)).annotate(mark=Snapshot())

    def fresh_since(self, moment: datetime) -> AccountQuerySet:
        """Accounts that entered, or whose renewal became another day, after a moment."""
        return self.filter(Q(entered_at__gt=moment) | Q(renewal_moved_at__gt=moment))

    def released(self) -> AccountQuerySet:
        """Accounts the playbooks may touch by themselves: neither held by an import nor quarantined."""
        return self.filter(held_by="", quarantine="")

    def quarantined(self) -> AccountQuerySet:
        """Accounts whose stage of old a person must place."""
        return self.exclude(quarantine="")

    def drifted(self) -> AccountQuerySet:
        """Accounts that another system, when it was last heard, put elsewhere than we do.

        Those in quarantine wait for a person already, and are no drift.
        """
        return self.filter(quarantine="", their_stage__isnull=False).exclude(their_stage__stage=F("stage"))

    def awaiting_outreach(self, numbers: Numbers) -> AccountQuerySet:
        """“Write now”: nobody has written yet, the first outreach is due, and nobody put the account off."""
        entered_before = numbers.today - timedelta(days=numbers.outreach_after_entry_days)
        renews_before = numbers.today + timedelta(days=numbers.outreach_before_renewal_days)
        return self.awake(numbers.today).filter(
            Q(stage=Stage.NEW),
            Q(entered_at__lt=numbers.end_of(entered_before)) | Q(renewal_on__lte=renews_before),
        )

    def awake(self, today: date) -> AccountQuerySet:
        """Accounts that nobody put off to a day after ``today``."""
        return self.filter(Q(snoozed_until__isnull=True) | Q(snoozed_until__lte=today))

    def snoozed(self, today: date) -> AccountQuerySet:
        """Accounts that somebody put off to a day after ``today``."""
        return self.filter(snoozed_until__gt=today)

    def waiting_for_us(self) -> AccountQuerySet:
        """Accounts that wrote to us after we last wrote to them."""
        return self.filter(WAITING)

    def without_call_ahead(self, numbers: Numbers) -> AccountQuerySet:
        """Accounts with no call from the team's today on, up to the day of the renewal.

        A call held earlier today counts still: what waits for it is due the day after.
        """
        return self.filter(~_call_ahead(numbers))

    def last_written_to_by(self, day: date, numbers: Numbers) -> AccountQuerySet:
        """Accounts whose last outreach, or else their way into 2, lies on ``day`` or before, or is unknown."""
        initiated = StageTransition.objects.filter(account=OuterRef("pk"), to_stage=Stage.INITIATED)
        rows = self.alias(
            written_at=Coalesce("last_outreach_at", Subquery(initiated.order_by("-version").values("at")[:1]))
        )
        return rows.filter(Q(written_at__isnull=True) | Q(written_at__lt=numbers.end_of(day)))

    def left_in_place(self, stage: Stage, days_before_renewal: int, numbers: Numbers) -> AccountQuerySet:
        """Accounts that no person has taken out of ``stage`` since that many days before their renewal."""
        taken_out = StageTransition.objects.filter(account=OuterRef("pk"), from_stage=stage, by__isnull=False)
        since = Cast(OuterRef("renewal_on") - Value(days_before_renewal), models.DateField())
        return self.filter(
            ~Exists(taken_out.alias(day=TruncDate("at", tzinfo=numbers.zone)).filter(day__gte=since))
        )

    def give_to(self, owner: int | None, *, by: User | None, now: datetime) -> dict[int, int | None]:
        """Give them to the person of this id, who is told, or to nobody; whose each was of those that changed."""
        others = self.filter(owner__isnull=False) if owner is None else self.exclude(owner=owner)
        was = dict(others.values_list("pk", "owner"))
        Account.objects.filter(pk__in=was).update(owner=owner, changed_at=now)
        if owner is not None:
            Notice.objects.tell(Notice(user_id=owner, account_id=pk, by=by, at=now) for pk in was)
        return was

    def put_label(self, label: Label, *, now: datetime) -> list[int]:
        """Put a label on them; the ids of those that did not wear it."""
        bare = list(self.exclude(accountlabel__label=label).values_list("pk", flat=True))
        AccountLabel.objects.bulk_create(
            (AccountLabel(account_id=pk, label=label) for pk in bare), ignore_conflicts=True
        )
        Account.objects.filter(pk__in=bare).update(changed_at=now)
        return bare

    def take_label(self, label: int | None, *, now: datetime) -> list[int]:
        """Take the label of this id off them; the ids of those that wore it."""
        worn = AccountLabel.objects.filter(label=label, account__in=self.values("pk"))
        ids = list(worn.values_list("account", flat=True))
        AccountLabel.objects.filter(label=label, account__in=ids).delete()
        Account.objects.filter(pk__in=ids).update(changed_at=now)
        return ids

    def add_tasks(
        self, title: str, due_on: date | str, *, by: User, now: datetime, assignee: int | None
    ) -> dict[int, int]:
        """Add the same to do to each, for the person of this id, who is told; the task's id by account."""
        tasks = Task.objects.bulk_create(
            Task(
                account_id=pk, title=title, due_on=due_on, assignee_id=assignee, created_by=by, created_at=now
            )
            for pk in self.values_list("pk", flat=True)
        )
        Notice.objects.tell_of_tasks(tasks, by=by, now=now)
        self.recount()
        return {task.account_id: task.pk for task in tasks}

    def touch(self) -> None:
        """Have open pages draw them anew, where what hangs on them changed and no fact of their own did."""
        self.update(touched=ThisTransaction())

    def recount(self) -> int:
        """Bring the counts kept on these accounts up to date; returns how many were wrong."""
        try:
            chosen, values = self.order_by().values("pk").query.sql_with_params()
        except EmptyResultSet:
            return 0
        with connection.cursor() as cursor:
            # What is put into the text is Django's own SQL; its values stand beside it.
            cursor.execute(
                f"""
                UPDATE crm_account account
                SET (notes_count, next_task_on, open_alerts, bills_held, first_bill) =
                    (counted.notes, counted.task_on, counted.alerts, counted.bills, counted.first_bill)
                FROM (
                    SELECT id,
                        (SELECT count(*) FROM crm_note WHERE account_id = chosen.id) AS notes,
                        (SELECT min(due_on) FROM crm_task
                         WHERE account_id = chosen.id AND done_at IS NULL) AS task_on,
                        (SELECT count(*) FROM crm_alert
                         WHERE account_id = chosen.id AND resolved_at IS NULL) AS alerts,
                        (SELECT count(*) FROM crm_bill
                         WHERE account_id = chosen.id AND status = 'paid' AND amount > 0) AS bills,
                        (SELECT amount FROM crm_bill
                         WHERE account_id = chosen.id AND status IN ('open', 'paid', 'uncollectible') AND amount > 0
                         ORDER BY period_start, id LIMIT 1) AS first_bill
                    FROM ({chosen}) AS chosen (id)
                ) AS counted
                WHERE counted.id = account.id
                  AND (account.notes_count, account.next_task_on, account.open_alerts, account.bills_held,
                       account.first_bill)
                      IS DISTINCT FROM
                      (counted.notes, counted.task_on, counted.alerts, counted.bills, counted.first_bill)
                """,  # nosec B608
                values,
            )
            return cursor.rowcount


class Account(Attended, Reachable, Movable):
    """A customer, as far as onboarding goes: what we know of it, where it stands, what we remember."""

    external_id = models.CharField(max_length=200)
    name = models.TextField(validators=[MaxLengthValidator(300)])
    domain = models.CharField(max_length=253, blank=True)
    stripe_customer_id = models.CharField(max_length=200, null=True, blank=True)

    plan = models.CharField(max_length=16, choices=Plan, blank=True, default=Plan.UNKNOWN)
    mrr = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    forecast = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    forecast_at = models.DateTimeField(null=True, blank=True)
    credit_use = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    bills_reported = models.PositiveIntegerField(default=0, validators=[MinValueValidator(0)])
    bills_held = models.PositiveIntegerField(default=0, editable=False)
    bills_paid = models.GeneratedField(
        expression=Greatest("bills_reported", "bills_held"),
        output_field=models.PositiveIntegerField(),
        db_persist=True,
    )
    next_renewal_on = models.DateField(null=True, blank=True)
    contract_renewal_on = models.DateField(null=True, blank=True)
    # An annual customer's monthly usage bills are not what decides: the contract's own renewal is.
    renewal_on = models.GeneratedField(
        expression=Case(
            When(plan=Plan.ANNUAL, then=Coalesce("contract_renewal_on", "next_renewal_on")),
            default=F("next_renewal_on"),
        ),
        output_field=models.DateField(null=True),
        db_persist=True,
    )
    renewal_anchor_on = models.DateField(
        null=True,
        blank=True,
        editable=False,
        help_text="The first date seen of this renewal: what “once a renewal” means. Kept by a trigger.",
    )
    renewal_moved_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When the renewal last became another day. Kept by a trigger.",
    )
    plan_ends_on = models.DateField(null=True, blank=True)
    users_count = models.PositiveIntegerField(null=True, blank=True)
    first_bill = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        editable=False,
        help_text="Kept with the bills.",
    )
    contacted_sales = models.BooleanField(default=False)
    sales_contact_kind = models.CharField(
        max_length=3, blank=True, choices=[("AE", "AE"), ("CSM", "CSM"), ("AM", "AM")]
    )
    sales_contact_name = models.TextField(blank=True, validators=[MaxLengthValidator(200)])
    sales_contact_email = models.EmailField(max_length=254, blank=True)
    reported_by = models.CharField(max_length=40, blank=True, editable=False)
    reported_at = models.DateTimeField(null=True, blank=True, editable=False)

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="accounts",
        db_index=False,
    )
    owner_reported = models.TextField(
        blank=True, help_text="An owner another system named, who has no login here."
    )
    labels = models.ManyToManyField(Label, through=AccountLabel, blank=True, related_name="accounts")
    payment_risk = models.CharField(max_length=8, choices=PaymentRisk, blank=True, default="")
    payment_risk_at = models.DateTimeField(null=True, blank=True)
    payment_risk_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DO_NOTHING, null=True, blank=True, related_name="+", db_index=False
    )
    payment_risk_reason = models.TextField(blank=True)

    last_outreach_at = models.DateTimeField(null=True, blank=True)
    last_reply_at = models.DateTimeField(null=True, blank=True)
    extended_until = models.DateField(null=True, blank=True)
    extended_reason = models.TextField(blank=True)
    hand_picked = models.TextField(
        blank=True,
        validators=[MaxLengthValidator(300)],
        help_text="Why we want it although no rule makes it ours.",
    )
    scope = models.CharField(max_length=8, choices=Outcome, blank=True, default="", editable=False)
    scope_row = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)
    route = models.TextField(
        blank=True, editable=False, help_text="Why the account is ours, or not, in words."
    )
    decided_under = models.BigIntegerField(
        default=0,
        editable=False,
        help_text="The edition of the scope table it was decided by. A trigger clears it when a fact changes.",
    )
    decided_until = models.DateField(
        null=True, blank=True, editable=False, help_text="The first day on which it may be decided otherwise."
    )
    referred_at = models.DateTimeField(null=True, blank=True, editable=False)
    # A column, so that the database knows how few there are: who is ours goes in, and who is a lead is referred.
    scope_asks = models.GeneratedField(
        expression=Case(
            When(stage=Stage.OUTSIDE, scope_row__in=ASKING[Asks.ENTER], then=Value(Asks.ENTER)),
            When(
                stage=Stage.OUTSIDE,
                scope_row__in=ASKING[Asks.REFER],
                referred_at__isnull=True,
                then=Value(Asks.REFER),
            ),
            default=Value(Asks.NOTHING),
        ),
        output_field=models.CharField(max_length=5, choices=Asks),
        db_persist=True,
    )
    held_by = models.CharField(
        max_length=40, blank=True, editable=False, help_text="The import whose release it waits for."
    )
    quarantine = models.CharField(
        max_length=80, blank=True, editable=False, help_text="A stage value of old that a person must place."
    )

    notes_count = models.PositiveIntegerField(default=0, editable=False)
    next_task_on = models.DateField(null=True, blank=True, editable=False)
    open_alerts = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(
        default=timezone.now, help_text="When a fact was last edited; moves count in `version`."
    )
    touched = models.BigIntegerField(
        default=0,
        editable=False,
        help_text="The transaction that last changed what pages show. Kept by a trigger.",
    )
    search_text = models.GeneratedField(
        expression=Upper(Concat("name", Value(" "), "domain", Value(" "), "external_id")),
        output_field=models.TextField(),
        db_persist=True,
    )

    objects: ClassVar[Any] = AccountQuerySet.as_manager()

    class Meta:
        ordering = ["renewal_on", "pk"]
        # Every move writes into each index here. A field that says it is unique would bring a second one for LIKE,
        # and a foreign key one that a longer index begins with or that nobody asks.
        constraints = [
            models.UniqueConstraint(fields=["external_id"], name="account_external_id_once"),
            models.UniqueConstraint(fields=["stripe_customer_id"], name="account_stripe_customer_once"),
            models.CheckConstraint(condition=Q(stage__in=Stage.values), name="account_stage_known"),
            models.CheckConstraint(
                condition=Q(engaged_at__isnull=True, engaged_via="")
                | Q(engaged_at__isnull=False) & ~Q(engaged_via=""),
                name="account_engaged_when_and_how",
            ),
            models.CheckConstraint(condition=~Q(external_id=""), name="account_external_id_given"),
        ]
        indexes = [
            models.Index(F("renewal_on").asc(nulls_last=True), F("id"), name="account_by_renewal"),
            models.Index(
                F("stage"),
                F("renewal_on").asc(nulls_last=True),
                F("id"),
                name="account_stage_renewal",
                include=["forecast"],
            ),
            # The daily list shows open accounts, among many closed ones; its counts are read from this index alone.
            models.Index(
                F("renewal_on").asc(nulls_last=True),
                F("id"),
                name="account_open_by_renewal",
                include=["next_task_on", "open_alerts", "snoozed_until"],
                condition=Q(stage__in=OPEN),
            ),
            models.Index(
                F("renewal_on").asc(nulls_last=True),
                F("id"),
                name="account_waiting",
                include=["snoozed_until"],
                condition=Q(stage__in=OPEN) & WAITING,
            ),
            # The board's counts and sums over the open stages are read from this index alone.
            models.Index(
                fields=["stage"], include=["forecast"], name="account_open_sums", condition=Q(stage__in=OPEN)
            ),
            models.Index(fields=["owner", "stage"], name="account_of_owner"),
            models.Index(fields=["domain"], name="account_by_domain"),
            models.Index(fields=["touched"], name="account_touched"),
            # Two contradictions that must stay quick to rule out among many closed accounts.
            models.Index(
                fields=["id"],
                name="account_engaged_in_6a",
                condition=Q(stage=Stage.ONBOARDED_NO_ENGAGEMENT, engaged_at__isnull=False),
            ),
            models.Index(
                fields=["id"],
                name="account_churned_task",
                condition=Q(stage=Stage.CHURNED, next_task_on__isnull=False),
            ),
            # Whom to ask how it was, and who was handed over: those of late, among ever more that are closed.
            models.Index(
                fields=["stage", "stage_since"],
                name="account_closed_since",
                condition=Q(stage__in=(*ONBOARDED, Stage.SALES_HANDOFF)),
            ),
            models.Index(
                fields=["renewal_on"],
                name="account_at_risk",
                condition=Q(payment_risk__in=("medium", "high")),
            ),
            models.Index(fields=["scope_asks"], name="account_asking", condition=~Q(scope_asks=Asks.NOTHING)),
            models.Index(fields=["decided_under", "decided_until"], name="account_decided"),
            models.Index(fields=["held_by"], name="account_held", condition=~Q(held_by="")),
            models.Index(fields=["quarantine"], name="account_quarantined", condition=~Q(quarantine="")),
            GinIndex(OpClass("search_text", name="gin_trgm_ops"), name="account_search"),
            GinIndex(Words("search_text"), name="account_words"),
            models.Index(OpClass(Upper("name"), name="text_pattern_ops"), name="account_name_prefix"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return f"/accounts/{self.pk}/"

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        # The stage is written by its moves alone; a reload is the one other thing that may set it.
        self.__dict__["_reloading_stage"] = True
        try:
            super().refresh_from_db(*args, **kwargs)
        finally:
            del self.__dict__["_reloading_stage"]

    @property
    def stage_label(self) -> str:
        return Stage(self.stage).label

    def outreach_due_on(self, numbers: Numbers) -> date | None:
        """The day the first outreach is due; None once written to."""
        if self.stage != Stage.NEW or self.entered_at is None:
            return None
        return first_outreach_due_on(self.entered_at, self.renewal_on, numbers)

    def touch(self) -> None:
        """Have open pages draw it anew, where what hangs on it changed and no fact of its own did."""
        Account.objects.filter(pk=self.pk).touch()

    def add_note(
        self,
        text: str,
        *,
        by: User | None,
        now: datetime,
        kind: str = Note.Kind.NOTE,
        product: str = "",
    ) -> Note:
        """Write down a note, tell whom it names, and return it; ``product`` in the spelling used before."""
        with transaction.atomic():
            self.lock()
            product = Note.objects.spelled(product)
            note = Note.objects.create(
                account=self, text=text, author=by, kind=kind, product=product, created_at=now
            )
            note.mention(by=by, now=now)
            self.recount()
        return note

    def add_task(
        self,
        title: str,
        due_on: date,
        *,
        by: User | None,
        now: datetime,
        assignee: User | None = None,
        cause: str = "",
        transition: StageTransition | None = None,
    ) -> Task:
        """Add something to do by a day, tell whom it is for, and return it."""
        with transaction.atomic():
            self.lock()
            task = Task.objects.create(
                account=self,
                title=title,
                due_on=due_on,
                created_by=by,
                created_at=now,
                assignee=assignee,
                cause=cause,
                transition=transition,
            )
            Notice.objects.tell_of_tasks([task], by=by, now=now)
            self.recount()
        return task

    def edit(
        self, *, now: datetime, by: User | None = None, seen: datetime | None = None, **facts: Any
    ) -> None:
        """Change facts, such as ``owner``, who is told; ``seen`` is the ``changed_at`` the editor started from.

        Raises ``Conflict`` and changes nothing when somebody else has edited the account since.
        """
        unchanged = Account.objects.filter(pk=self.pk)
        if seen is not None:
            unchanged = unchanged.filter(changed_at=seen)
        with transaction.atomic():
            given = self._is_given_to(facts.get("owner"))
            if not unchanged.update(**facts, changed_at=now):
                raise Conflict("Somebody else has edited this account meanwhile.")
            if given:
                Notice.objects.tell([Notice(user=facts["owner"], account=self, by=by, at=now)])
        self.refresh_from_db(fields=[*facts, "changed_at"])

    def _is_given_to(self, owner: User | None) -> bool:
        """Whether that is another owner than the account has; it is locked then."""
        if owner is None:
            return False
        self.lock()
        return Account.objects.filter(pk=self.pk).exclude(owner=owner).exists()

    def engage(self, via: Engagement, *, now: datetime) -> bool:
        """Note that the customer engaged; False when they had before. It is set once."""
        first = Account.objects.filter(pk=self.pk, engaged_at__isnull=True)
        if not first.update(engaged_at=now, engaged_via=via):
            return False
        self.engaged_at, self.engaged_via = now, via
        return True

    def heard(self, what: str, at: datetime) -> None:
        """Bring ``last_outreach_at`` or ``last_reply_at`` forward to ``at``; it never goes back.

        A new reply ends a snooze.
        """
        news = Q(**{f"{what}__isnull": True}) | Q(**{f"{what}__lt": at})
        wakes = {"snoozed_until": None} if what == "last_reply_at" else {}
        Account.objects.filter(news, pk=self.pk).update(**{what: at}, **wakes)
        self.refresh_from_db(fields=[what, *wakes])

    def add_label(self, name: str, *, now: datetime) -> Label:
        """Put a label on it, in the spelling the team has used before, and return it."""
        with transaction.atomic():
            self.lock()
            label = Label.called(name)
            AccountLabel.objects.get_or_create(account=self, label=label)
            self.edit(now=now)
        return label

    def relabel(
        self, *, now: datetime, by: User, seen: datetime | None = None, labels: Iterable[Label]
    ) -> None:
        """Let it wear just these labels; ``seen`` and what it raises are those of ``edit``."""
        with transaction.atomic():
            self.lock()
            self.edit(now=now, by=by, seen=seen)
            self.labels.set(labels)

    def remove_label(self, label: Label, *, now: datetime) -> None:
        """Take a label off; one that is not there is no matter."""
        with transaction.atomic():
            self.lock()
            AccountLabel.objects.filter(account=self, label=label).delete()
            self.edit(now=now)
