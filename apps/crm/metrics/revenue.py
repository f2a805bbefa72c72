"""What Revenue plans with: the bills to come, what of them is at risk, and how that was judged."""

from __future__ import annotations

from apps.crm.metrics.base import MONTHS, Key, Metric, counted, month, summed
from apps.crm.models.account import PaymentRisk

AHEAD_DAYS = 60

# Of a bill that failed before no more is expected than that share, whatever the assessment.
_WEIGHT = f"""LEAST(
    CASE account.payment_risk WHEN '{PaymentRisk.LOW}' THEN %(weight_low_risk)s
                              WHEN '{PaymentRisk.MEDIUM}' THEN %(weight_medium_risk)s
                              WHEN '{PaymentRisk.HIGH}' THEN %(weight_high_risk)s
                              ELSE %(weight_not_assessed)s END,
    CASE WHEN bill.attempts > 0 THEN %(weight_failed)s ELSE 100 END)"""
_DUE = "COALESCE(due_on, period_end)"
# Two parts, because each is read from an index of its own.
_BILLS = f"""
    SELECT bill.account_id, bill.amount, bill.currency, bill.attempts > 0 AS failed, due AS due_on,
           account.payment_risk AS risk,
           account.payment_risk IN ('{PaymentRisk.MEDIUM}', '{PaymentRisk.HIGH}') OR bill.attempts > 0 AS at_risk,
           round(bill.amount * {_WEIGHT} / 100, 2) AS expected
    FROM (
        SELECT account_id, amount, currency, attempts, {_DUE} AS due FROM crm_bill
        WHERE status IN ('upcoming', 'draft')
          AND {_DUE} BETWEEN %(today)s::date AND %(today)s::date + {AHEAD_DAYS - 1}
        UNION ALL
        SELECT account_id, amount, currency, attempts, {_DUE} FROM crm_bill
        WHERE status = 'open' AND {_DUE} <= %(today)s::date + {AHEAD_DAYS - 1}
    ) AS bill
    JOIN crm_account account ON account.id = bill.account_id
    WHERE bill.amount > 0
"""
_CURRENCY = Key("currency", "Currency", labels={"USD": "USD"})
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
    f"""SELECT *, CASE WHEN due_on < %(today)s::date THEN 'overdue'
                       ELSE date_trunc('week', due_on)::date::text END AS week FROM ({_BILLS}) AS bills""",
    (_CURRENCY, Key("week", "Week of", "week", labels={"overdue": "Overdue"})),
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
    (
        _CURRENCY,
        Key("risk", "Payment risk", labels={str(risk): risk.label for risk in reversed(PaymentRisk)}),
    ),
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
    WHERE risk <> was AND at >= date_trunc('month', %(today)s::date) - interval '{MONTHS} months'
      AND {month("at")} > date_trunc('month', %(today)s::date) - interval '{MONTHS} months'
    """,
    (Key("changed", "Changed in", "month"),),
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
