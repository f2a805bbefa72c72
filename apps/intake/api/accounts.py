"""Accounts: what others report of them, and what we know."""

from __future__ import annotations

from typing import Any, get_args

from django.core.validators import RegexValidator
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from apps.crm.fields import FIELDS, MOST_LABELS, SALES_CONTACT_KINDS, read_account
from apps.crm.filters import RENEWS, RISKS, SORTS, STAGE_CHOICES, TASKS, AccountFilter
from apps.crm.models import Account, Contact
from apps.crm.models.account import Plan
from apps.crm.options import options
from apps.crm.pipeline import STAGES, Engagement
from apps.crm.policy import Policy
from apps.crm.reporting import BadRows, report_accounts
from apps.intake.api.door import Asked, Door, account_or_404
from apps.intake.api.errors import Problem
from apps.intake.api.pages import OLDEST_FIRST, PageQuery, page
from apps.intake.api.schema import describe
from apps.intake.api.strict import Body, Text

AT_ONCE = 1000
SHOWN_PROBLEMS = 20
STAGE_KEYS = [stage.value for stage in STAGES]
ENGAGED_VIA = get_args(Engagement)


class Key(serializers.ChoiceField):
    """A key that is null where there is none."""

    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(choices, **{"allow_null": True, **options})

    def to_representation(self, value: Any) -> Any:
        return str(value) if value else None


class StageKey(Key):
    """A stage's key, and null for outside the pipeline."""

    def __init__(self, **options: Any) -> None:
        super().__init__(STAGE_KEYS, **options)


class Money(Text):
    """A decimal number, written as text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        plain = "A number with up to two decimals, written as text, such as “1234.50”."
        self.validators.append(RegexValidator(r"^-?[0-9]{1,10}(\.[0-9]{1,2})?\Z", plain))


class SalesContact(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(SALES_CONTACT_KINDS)
    name = serializers.CharField()
    email = serializers.CharField()


class ContactShown(serializers.ModelSerializer[Contact]):
    class Meta:
        model = Contact
        fields = ["email", "name", "role", "do_not_contact"]


class MoveOption(serializers.Serializer[Any]):
    """A stage the account could be moved to, with the answer a move would get now."""

    to = serializers.ChoiceField(STAGE_KEYS)
    permitted = serializers.BooleanField()
    refusal = serializers.CharField(allow_null=True)
    needs = serializers.CharField(allow_null=True, help_text="The name of the text to send as “reason”.")


class AccountShown(serializers.ModelSerializer[Account]):
    stage = StageKey()
    engaged_via = Key(ENGAGED_VIA)
    owner = serializers.CharField(source="owner.username", default=None, allow_null=True)
    sales_contact = serializers.SerializerMethodField()
    contacts = ContactShown(many=True)
    labels: Any = serializers.SlugRelatedField("name", many=True, read_only=True)
    moves = serializers.SerializerMethodField()

    class Meta:
        model = Account
        fields = [
            "external_id",
            "name",
            "domain",
            "plan",
            "mrr",
            "forecast",
            "forecast_at",
            "credit_use",
            "bills_paid",
            "next_renewal_on",
            "contract_renewal_on",
            "renewal_on",
            "plan_ends_on",
            "users_count",
            "stripe_customer_id",
            "sales_contact",
            "contacted_sales",
            "contacts",
            "labels",
            "owner",
            "payment_risk",
            "engaged_at",
            "engaged_via",
            "entered_at",
            "last_outreach_at",
            "last_reply_at",
            "extended_until",
            "notes_count",
            "next_task_on",
            "open_alerts",
            "created_at",
            "changed_at",
            "stage",
            "stage_since",
            "version",
            "moves",
        ]

    @extend_schema_field(SalesContact(allow_null=True))
    def get_sales_contact(self, account: Account) -> dict[str, str] | None:
        kind, name, email = (
            account.sales_contact_kind,
            account.sales_contact_name,
            account.sales_contact_email,
        )
        return {"kind": kind, "name": name, "email": email} if kind else None

    @extend_schema_field(MoveOption(many=True))
    def get_moves(self, account: Account) -> list[dict[str, Any]]:
        return [
            {
                "to": option.to,
                "permitted": option.permitted,
                "refusal": option.refusal or None,
                "needs": option.needs or None,
            }
            for option in options(account)
        ]


class AccountsPage(serializers.Serializer[Any]):
    results = AccountShown(many=True)
    next = serializers.CharField(allow_null=True)


class SalesContactReported(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(SALES_CONTACT_KINDS)
    name = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=200)
    email = serializers.EmailField(required=False, allow_null=True, allow_blank=True)


class ContactReported(serializers.Serializer[Any]):
    email = serializers.EmailField()
    name = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=200)
    role = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=100)


class AccountReported(serializers.Serializer[Any]):
    """What a report may say of an account. It stands here for the schema alone: ``crm.fields`` reads it."""

    external_id = Text(max_length=200)
    name = Text(max_length=300, required=False, help_text="Needed for a new account.")
    domain = serializers.CharField(max_length=253, required=False, allow_null=True, allow_blank=True)
    plan = serializers.ChoiceField(Plan.values, required=False, allow_null=True)
    mrr = Money(required=False, allow_null=True)
    forecast = Money(required=False, allow_null=True)
    forecast_at = serializers.DateTimeField(required=False, allow_null=True)
    credit_use = Money(required=False, allow_null=True)
    bills_paid = serializers.IntegerField(min_value=0, required=False, allow_null=True)
    next_renewal_on = serializers.DateField(required=False, allow_null=True)
    contract_renewal_on = serializers.DateField(required=False, allow_null=True)
    plan_ends_on = serializers.DateField(required=False, allow_null=True)
    users_count = serializers.IntegerField(min_value=0, required=False, allow_null=True)
    stripe_customer_id = serializers.CharField(max_length=200, required=False, allow_null=True)
    sales_contact = SalesContactReported(required=False, allow_null=True)
    contacted_sales = serializers.BooleanField(required=False, allow_null=True)
    contacts = ContactReported(many=True, required=False, help_text="Merged by e-mail, never removed.")
    labels = serializers.ListField(child=Text(max_length=80), max_length=MOST_LABELS, required=False)


class AccountsBody(serializers.Serializer[Any]):
    accounts = serializers.ListField(child=AccountReported(), min_length=1, max_length=AT_ONCE)


class AccountsRead(Body):
    accounts = serializers.ListField(child=serializers.JSONField(), min_length=1, max_length=AT_ONCE)


class Counted(serializers.Serializer[Any]):
    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()


def _one_of(*choices: str) -> serializers.ChoiceField:
    return serializers.ChoiceField(choices, required=False, allow_blank=True)


class AccountQuery(PageQuery):
    """What ``AccountFilter`` reads, said once more for the schema and refused where it would be ignored."""

    q = Text(required=False, allow_blank=True, help_text="A part of the name, the domain or the external id.")
    stage = serializers.ListField(child=serializers.ChoiceField(STAGE_CHOICES), required=False)
    owner = Text(required=False, allow_blank=True, help_text="“me”, “none” or the id of a user.")
    label: Any = Text(required=False, allow_blank=True)
    plan = _one_of(*(str(plan) for plan in Plan if plan))
    renews = _one_of(*RENEWS)
    risk = _one_of(*RISKS)
    alert = Text(required=False, allow_blank=True, help_text="“any”, or the name of a playbook.")
    task = _one_of(*TASKS)
    write = _one_of("now")
    reply = _one_of("waiting")
    snoozed = _one_of("1")
    cell = Text(required=False, allow_blank=True, help_text="A figure of a report, as its link names it.")
    fresh = serializers.ChoiceField(
        ["1"], required=False, allow_blank=True, help_text="Entered since the token’s user last looked."
    )
    view = Text(
        required=False,
        allow_blank=True,
        help_text="The number of a saved view of the token’s user, beneath the other filters.",
    )
    sort = _one_of(*SORTS, *(f"-{name}" for name in SORTS))


class Accounts(Door):
    rights = {"GET": "read", "PUT": "edit"}

    @describe("listAccounts", "Accounts", AccountsPage, query=AccountQuery)
    def get(self, request: Asked) -> Response:
        """The accounts, in the order they came to us unless a sort is asked for."""
        query = AccountQuery.read(request.query_params)
        asked = AccountFilter(
            request.query_params,
            numbers=Policy.at(timezone.now()),
            user=request.user,
            also=AccountQuery().fields,
        )
        if asked.notices:
            raise Problem(422, "invalid", " ".join(asked.notices).replace(", so it was ignored", ""))
        rows = asked.qs.select_related("owner").prefetch_related("contacts", "labels")
        return page(rows, AccountShown, query, asked.order if asked.data.get("sort") else OLDEST_FIRST)

    @describe("reportAccounts", "Accounts", Counted, body=AccountsBody)
    def put(self, request: Asked) -> Response:
        """Say what is known of accounts, all or none. Fields left out stay as they are; no report moves anybody."""
        given = AccountsRead.read(request.data)["accounts"]
        unknown = {name for account in given if isinstance(account, dict) for name in account} - set(FIELDS)
        if unknown:
            raise Problem(422, "unknown_fields", f"No fields of an account: {', '.join(sorted(unknown))}.")
        read = [read_account(account, number) for number, account in enumerate(given)]
        try:
            if problems := [problem for _, found in read for problem in found]:
                raise BadRows(problems)
            done = report_accounts(
                [(number, clean) for number, (clean, _) in enumerate(read)],
                source="api",
                now=timezone.now(),
                by=request.user,
            )
        except BadRows as bad:
            raise Problem(422, "invalid", _sentence(bad)) from None
        return Response({"created": done.created, "updated": done.updated, "unchanged": done.unchanged})


class OneAccount(Door):
    @describe("readAccount", "Accounts", AccountShown, missing=True)
    def get(self, request: Asked, external_id: str) -> Response:
        """One account, with what every move of it would be answered."""
        return Response(AccountShown(account_or_404(external_id)).data)


def _sentence(bad: BadRows) -> str:
    said = [
        f"accounts[{one.row}].{one.field} {one.sentence}"
        if one.field
        else f"accounts[{one.row}] {one.sentence}"
        for one in bad.problems[:SHOWN_PROBLEMS]
    ]
    more = len(bad.problems) - len(said)
    return " ".join([*said, f"And {more} more."] if more else said)
