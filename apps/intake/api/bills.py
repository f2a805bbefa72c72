"""Bills, as a billing system tells them."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from django.core.validators import RegexValidator
from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from apps.crm.models import Account, Bill
from apps.crm.models.bill import ReportedBill
from apps.intake.api.accounts import AT_ONCE, Counted, Money
from apps.intake.api.door import Asked, Door
from apps.intake.api.pages import PageQuery, page
from apps.intake.api.schema import describe
from apps.intake.api.strict import Body, Text, Whole

LARGEST_WHOLE = 2_147_483_647


class BillReported(Body):
    """A bill, told whole: what is left out is unknown."""

    id = Text(max_length=200)
    account = Text(max_length=200, help_text="An external id.")
    amount = Money()
    currency = Text(
        default="USD", validators=[RegexValidator(r"^[A-Z]{3}\Z", "Three capitals, such as USD.")]
    )
    status = serializers.ChoiceField(Bill.Status.values)
    attempts = Whole(
        min_value=0, max_value=LARGEST_WHOLE, default=0, help_text="Failed attempts to collect it."
    )
    period_start = serializers.DateField(allow_null=True, default=None)
    period_end = serializers.DateField(allow_null=True, default=None)
    due_on = serializers.DateField(allow_null=True, default=None)
    paid_at = serializers.DateTimeField(allow_null=True, default=None)


class BillsBody(Body):
    bills = serializers.ListField(child=BillReported(), min_length=1, max_length=AT_ONCE)

    def validate_bills(self, told: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Each bill once, each of an account that is here, and none of an account other than before."""
        accounts = dict(
            Account.objects.filter(external_id__in={one["account"] for one in told}).values_list(
                "external_id", "pk"
            )
        )
        held = dict(
            Bill.objects.filter(external_id__in={one["id"] for one in told}).values_list(
                "external_id", "account"
            )
        )
        times = Counter(one["id"] for one in told)
        wrong = {}
        for number, one in enumerate(told):
            account = accounts.get(one["account"])
            if account is None:
                wrong[number] = {"account": ["There is no account with this external id."]}
            elif times[one["id"]] > 1:
                wrong[number] = {"id": ["Stands in the same report twice."]}
            elif held.get(one["id"], account) != account:
                wrong[number] = {"id": ["Is a bill of another account."]}
            one["account_id"] = account
        if wrong:
            raise serializers.ValidationError(wrong)  # type: ignore[arg-type]
        return told


class BillShown(serializers.ModelSerializer[Bill]):
    id = serializers.CharField(source="external_id")
    account = serializers.CharField(source="account.external_id")

    class Meta:
        model = Bill
        fields = [
            *("id", "account", "period_start", "period_end", "amount", "currency", "status"),
            *("due_on", "paid_at", "attempts"),
        ]


class BillsPage(serializers.Serializer[Any]):
    results = BillShown(many=True)
    next = serializers.CharField(allow_null=True)


class BillQuery(PageQuery):
    account = Text(required=False, allow_blank=True, help_text="An external id.")


class Bills(Door):
    rights = {"GET": "read", "PUT": "edit"}

    @describe("listBills", "Bills", BillsPage, query=BillQuery)
    def get(self, request: Asked) -> Response:
        """Bills, newest first."""
        query = BillQuery.read(request.query_params)
        rows = Bill.objects.select_related("account")
        if query.get("account"):
            rows = rows.filter(account__external_id=query["account"])
        return page(rows, BillShown, query)

    @describe("reportBills", "Bills", Counted, body=BillsBody)
    def put(self, request: Asked) -> Response:
        """Say what is known of bills, all or none. A bill that is paid or void stays as it is."""
        now = timezone.now()
        told = [
            ReportedBill(
                **{name: one[name] for name in _SAME},
                external_id=one["id"],
                amount=Decimal(one["amount"]),
                reported_at=now,
            )
            for one in BillsBody.read(request.data)["bills"]
        ]
        return Response(Bill.objects.report(told))


_SAME = ("account_id", "currency", "status", "attempts", "period_start", "period_end", "due_on", "paid_at")
