"""What Revenue plans with: the bills to come, what of them is at risk, and how that was judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from apps.crm.metrics.base import Key, Metric, all_of, counted, monday_of, month, months_until, summed
from apps.crm.models.account import PaymentRisk
from apps.crm.months import monday
from apps.crm.policy import Numbers

AHEAD_DAYS = 60

# Of a bill that failed before no more is expected than that share, whatever the assessment.
_WEIGHT = f"""LEAST(
    CASE risk WHEN '{PaymentRisk.LOW}' THEN %(weight_low_risk)s WHEN '{PaymentRisk.MEDIUM}' THEN %(weight_medium_risk)s
              WHEN '{PaymentRisk.HIGH}' THEN %(weight_high_risk)s ELSE %(weight_not_assessed)s END,
    CASE WHEN failed THEN %(weight_failed)s ELSE 100 END)"""
_DUE = "COALESCE(due_on, period_end)"
# Two parts, because each is read from an index of its own. Few accounts have a payment risk: they alone are looked up.
_BILLS = f"""
    SELECT *, risk IN ('{PaymentRisk.MEDIUM}', '{PaymentRisk.HIGH}') OR failed AS at_risk,
           round(amount * {_WEIGHT} * 0.01, 2) AS expected,
           CASE WHEN due_on >= %(today)s::date THEN {monday_of("due_on")} END AS week
    FROM (
        SELECT bill.*, COALESCE(payment_risk, '') AS risk
        FROM (
            SELECT account_id, amount, currency, attempts > 0 AS failed, {_DUE} AS due_on FROM crm_bill
            WHERE status IN ('upcoming', 'draft') AND amount > 0
              AND {_DUE} BETWEEN %(today)s::date AND %(today)s::date + {AHEAD_DAYS - 1}
            UNION ALL
            SELECT account_id, amount, currency, attempts > 0, {_DUE} FROM crm_bill
            WHERE status = 'open' AND amount > 0 AND {_DUE} <= %(today)s::date + {AHEAD_DAYS - 1}
        ) AS bill
        LEFT JOIN (SELECT id, payment_risk FROM crm_account WHERE payment_risk <> '') AS assessed
            ON assessed.id = bill.account_id
    ) AS bill
"""
_RISKS = {str(risk): risk.label for risk in reversed(PaymentRisk)}
# Other currencies are told where something is due in them.
_CURRENCY = Key("currency", "Currency", labels={"USD": "USD"}, every=all_of(["USD"]))


def _weeks_ahead(found: Sequence[date | str], numbers: Numbers) -> list[date]:
    first = monday(numbers.today)
    number = (numbers.today + timedelta(days=AHEAD_DAYS - 1) - first).days // 7 + 1
    return [first + timedelta(weeks=week) for week in range(number)]


_FIGURES = (
    counted("bills", "Bills"),
    summed("amount", "Due", "amount"),
    summed("at_risk", "At risk", "amount", "at_risk"),
    summed("without", "Without those", "amount", "NOT at_risk"),
    counted("failed", "With failed attempts", "failed"),
    summed("expected", "Risk-adjusted", "expected"),
)

DUE = Metric(
    "bills-due",
    "Bills due by week",
    "revenue",
    f"Bills above 0 that are forecast, drafted or open and due from today on for {AHEAD_DAYS} days, by the week of"
    " their due day (the end of their period where none is set), and open ones that are overdue. At risk: the account's"
    " payment risk is medium or high, or an attempt to collect the bill failed. Risk-adjusted: each bill at the share"
    " that the policy gives for its risk. Dollars; each other currency stands by itself.",
    "bills, accounts",
    _BILLS,
    (
        _CURRENCY,
        Key("week", "Week of", "week", labels={"overdue": "Overdue"}, every=_weeks_ahead, missing="overdue"),
    ),
    _FIGURES,
    right="export revenue",
    totals=True,
    plot=("stacked", "without", "at_risk"),
)

BY_RISK = Metric(
    "bills-by-risk",
    "Bills due by payment risk",
    "revenue",
    "The same bills by the payment risk of their account.",
    "bills, accounts",
    _BILLS,
    (_CURRENCY, Key("risk", "Payment risk", labels=_RISKS, every=all_of(_RISKS))),
    (*_FIGURES[:2], _FIGURES[4], _FIGURES[5]),
    right="export revenue",
    totals=True,
)

RISK = Metric(
    "payment-risk",
    "Payment risk history",
    "revenue",
    "Each change of an account's payment risk by its month, by what it became.",
    "changes of payment risk",
    f"""
    SELECT account_id, {month("at")} AS changed, risk AS became
    FROM (
        SELECT *, lag(risk, 1, '') OVER (PARTITION BY account_id ORDER BY at, id) AS was FROM crm_riskassessment
    ) told
    WHERE risk <> was AND at >= %(year_at)s
    """,
    (Key("changed", "Changed in", "month", every=months_until()),),
    (
        counted("changes", "Changes"),
        counted("high", "To high", f"became = '{PaymentRisk.HIGH}'"),
        counted("medium", "To medium", f"became = '{PaymentRisk.MEDIUM}'"),
        counted("low", "To low", f"became = '{PaymentRisk.LOW}'"),
        counted("cleared", "Taken back", "became = ''"),
    ),
    right="export revenue",
    newest_first=True,
)
