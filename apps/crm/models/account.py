from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVectorField
from django.core.validators import MaxLengthValidator, MinValueValidator
from django.db import connection, models, transaction
from django.db.models import Case, F, Func, Q, Value, When
from django.db.models.functions import Coalesce, Concat, Greatest, Upper
from django.utils import timezone

from apps.crm.models.attention import Attended
from apps.crm.models.belongings import Belonging, BelongingQuerySet
from apps.crm.models.contact import Contact
from apps.crm.models.label import AccountLabel, Label
from apps.crm.models.moving import Conflict, Movable
from apps.crm.models.notice import Notice
from apps.crm.models.outreach import Reachable
from apps.crm.models.scoping import ScopedQuerySet
from apps.crm.models.touched import TouchedQuerySet
from apps.crm.models.user import User
from apps.crm.models.waiting import WAITING, WaitingQuerySet
from apps.crm.pipeline import ONBOARDED, OPEN, Engagement, Stage
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


class Words(Func):
    """The words of a search text, as the database looks them up: one by one, or by how they begin."""

    # A word has to fit into an index: what stands further back is found as a part of the text only.
    template = (
        "array_to_tsvector(array_remove("
        "regexp_split_to_array(left(%(expressions)s, 500), '[^[:alnum:]]+'), ''))"
    )
    output_field = SearchVectorField()


@cache
def _locking() -> tuple[str, list[str]]:
    """The statement that takes an account's row, and what its columns are called: every move and event asks it."""
    fields = Account._meta.concrete_fields
    columns = ", ".join(str(field.column) for field in fields)
    return (
        f"SELECT {columns} FROM crm_account WHERE id = %s FOR NO KEY UPDATE",  # nosec B608
        [field.attname for field in fields],
    )


class AccountQuerySet(ScopedQuerySet, BelongingQuerySet, WaitingQuerySet, TouchedQuerySet):  # type: ignore[override]
    def locked(self, pk: int) -> Account:
        """An account as it is now, its row taken for the rest of the transaction, before anything that hangs on it."""
        statement, names = _locking()
        with connection.cursor() as cursor:
            cursor.execute(statement, [pk])
            row = cursor.fetchone()
        if row is None:
            raise Account.DoesNotExist
        return Account.from_db(self.db, names, row)

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

    def give_to(self, owner: int | None, *, by: User | None, now: datetime) -> dict[int, int | None]:
        """Give them to the person of this id, who is told, or to nobody; whose each was of those that changed."""
        others = self.filter(owner__isnull=False) if owner is None else self.exclude(owner=owner)
        was = dict(others.values_list("pk", "owner"))
        Account.objects.filter(pk__in=was).update(owner=owner, changed_at=now)
        if owner is not None:
            Notice.objects.tell(Notice(user_id=owner, account_id=pk, by=by, at=now) for pk in was)
        return was


class Account(Attended, Reachable, Belonging, Movable):
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
                # Whose next bill may be large is read from this index alone.
                include=["forecast", "bills_held", "renewal_anchor_on"],
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
            models.Index(
                fields=["id"],
                include=["payment_risk"],
                name="account_assessed",
                condition=~Q(payment_risk=""),
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

    def touch(self) -> None:
        """Have open pages draw it anew, where what hangs on it changed and no fact of its own did."""
        Account.objects.filter(pk=self.pk).touch()

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
