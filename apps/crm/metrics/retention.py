"""Who stays: three months after the first bill, by the month it came."""

from __future__ import annotations

from typing import Any

from apps.crm.metrics.base import (
    DECIDED_AFTER,
    Derived,
    Key,
    Metric,
    Values,
    all_of,
    counted,
    months_until,
    ratio,
    share,
    summed,
)
from apps.crm.metrics.pipeline import contacted
from apps.crm.months import after
from apps.crm.pipeline import Stage
from apps.crm.policy import Numbers

# A bill at 0 of an account that uses credit was paid out of credit.
_KEPT = "(billed.kept OR billed.at_zero AND COALESCE(account.credit_use, 0) > 0)"

_COHORTS = f"""
    SELECT billed.account_id, cohort_on AS cohort,
           CASE WHEN billed.currency <> 'USD' THEN billed.currency
                WHEN account.entered_at IS NULL THEN 'others' ELSE 'entered' END AS who,
           {_KEPT} AS kept, cohort_on <= %(decided_on)s AS decided, account.stage = '{Stage.CHURNED}' AS churned,
           cohort_billed, kept_billed, account.stage, account.entered_at, billed.currency
    FROM crm_billed billed JOIN crm_account account ON account.id = billed.account_id
    WHERE cohort_on >= %(cohorts_on)s
"""

WHO = Key(
    "who",
    "Who",
    labels={
        "entered": "Entered the pipeline",
        "others": "Never entered",
    },
    # Those who stand beside are told where there are any.
    every=all_of(["entered"]),
)


def is_decided(values: Values, numbers: Numbers) -> bool:
    """Whether a cohort's third month is over."""
    cohort = values["cohort"]
    return after(cohort, DECIDED_AFTER) <= numbers.today


def _share(values: Values, numbers: Numbers) -> Any:
    return ratio(values["kept"], values["accounts"]) if is_decided(values, numbers) else None


def _may_be_lost(values: Values, numbers: Numbers) -> int | None:
    """How many more may leave and the goal is still met; below 0, by how many it was missed."""
    if not values["accounts"]:
        return None
    return int(values["accounts"] * (100 - numbers.retention_goal) // 100 - values["lost"])


RETENTION = Metric(
    "retention",
    "Three-month logo retention",
    "retention",
    "Of the accounts whose first bill of at least the policy's first-bill sum (forecast or made, not void) is of a"
    " month, those with a bill above 0 in the third month after it. A bill at 0 counts where the account uses credit."
    " A bill is of the month in which the last day of its period lies. A cohort counts once its third month is over;"
    " until then it is open, and an account in 6d without such a bill counts as lost. Accounts that never entered the"
    " pipeline stand beside, and so do those whose first bill is in another currency.",
    "bills, accounts",
    _COHORTS,
    (Key("cohort", "Cohort", "month", every=months_until()), WHO),
    (
        counted("accounts", "Accounts"),
        counted("kept", "Kept", "kept"),
        counted("lost", "Lost", "NOT kept AND (decided OR churned)"),
        counted("waiting", "Undecided", "NOT kept AND NOT decided AND NOT churned"),
        Derived("share", "Retention", _share),
        Derived("may_be_lost", "May still be lost", _may_be_lost, "may"),
    ),
    settles=DECIDED_AFTER,
    plot=("share", "share", "accounts"),
    goal="retention_goal",
    newest_first=True,
)

NDR = Metric(
    "ndr",
    "Net dollar retention",
    "retention",
    "Of the decided cohorts, the bills made in the third month over the bills made in the first, in the currency of"
    " the first bill; void bills and forecasts count for nothing. Dollars only; each other currency stands by itself.",
    "bills, accounts",
    _COHORTS,
    (Key("cohort", "Cohort", "month", every=months_until(DECIDED_AFTER)), WHO),
    (
        counted("accounts", "Accounts"),
        summed("first", "First month", "cohort_billed"),
        summed("third", "Third month", "kept_billed"),
        share("share", "Net dollar retention", "third", "first"),
    ),
    settles=DECIDED_AFTER,
    plot=("share", "share", "first"),
    newest_first=True,
    told=is_decided,
)

_CLOSINGS = {
    Stage.ONBOARDED_NO_ENGAGEMENT: "6a. No engagement",
    Stage.ONBOARDED_ENGAGED: "6b. Engaged",
    Stage.SALES_HANDOFF: "6c. Handed to Sales",
    Stage.CHURNED: "6d. Churned",
    "open": "Still open",
}
_PATHS = {
    **{f"closed {stage}": words for stage, words in _CLOSINGS.items()},
    "week yes": "Written to in week one",
    "week no": "Not written to in week one",
    "before yes": "Written to by T-14",
    "before no": "Not written to by T-14",
}

PATHS = Metric(
    "retention-by-path",
    "Retention by path",
    "retention",
    "The decided cohorts of accounts that entered, by where they stand now, by whether they were written to within the"
    " days the policy gives after their last entry, and by whether that was by T-14, where the entry left time for it.",
    "bills, accounts, moves",
    f"""
    SELECT cohorts.account_id, kept, path
    FROM ({_COHORTS}) AS cohorts
    LEFT JOIN ({contacted()}) AS written
        ON written.account_id = cohorts.account_id AND written.at = cohorts.entered_at
    CROSS JOIN LATERAL (VALUES
        ('closed ' || CASE WHEN stage IN ({", ".join(f"'{stage}'" for stage in _CLOSINGS)})
                           THEN stage ELSE 'open' END),
        (CASE WHEN in_week THEN 'week yes' WHEN NOT in_week THEN 'week no' END),
        (CASE WHEN in_time THEN 'before yes' WHEN NOT in_time THEN 'before no' END)
    ) AS paths (path)
    WHERE decided AND currency = 'USD' AND entered_at IS NOT NULL AND path IS NOT NULL
    """,
    (Key("path", "Path", labels=_PATHS, every=all_of(_PATHS)),),
    (
        counted("accounts", "Accounts"),
        counted("kept", "Kept", "kept"),
        counted("lost", "Lost", "NOT kept"),
        share("share", "Retention", "kept", "accounts"),
        Derived(
            "small",
            "Read with care",
            lambda row, numbers: _few(row["accounts"], numbers.few_accounts),
            "text",
        ),
    ),
    plot=("bars", "share"),
    goal="retention_goal",
)


def _few(number: int, few: int) -> str:
    return f"Only {number}: a chance more or less says little" if 0 < number < few else ""
