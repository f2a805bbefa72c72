"""What the team does, and what came of it."""

from __future__ import annotations

from apps.crm.metrics.base import (
    DAYS,
    LOAD_DAYS,
    MOVES,
    Column,
    Key,
    Metric,
    all_of,
    counted,
    day,
    month,
    months_until,
    share,
)
from apps.crm.models.alert import ALERT_KINDS
from apps.crm.models.user import RIGHTS
from apps.crm.pipeline import OPEN, Stage

_WORKING = ", ".join(f"'{role}'" for role in sorted(RIGHTS["move"]))
_OPEN = ", ".join(f"'{stage}'" for stage in OPEN)
# Five of seven days.
WORKING_DAYS = LOAD_DAYS * 5 // 7

LOAD = Metric(
    "load",
    "Load a person",
    "team",
    f"Now: the open accounts a person owns, their open tasks and alerts. In the last {LOAD_DAYS} days: the first"
    f" outreaches (1 to 2) they made, all in all and for each of {WORKING_DAYS} working days, and the calls held that"
    " they were on.",
    "accounts, tasks, alerts, moves, calls",
    f"""
    SELECT owner_id AS person, id AS account_id, 'account' AS what FROM crm_account WHERE stage IN ({_OPEN})
    UNION ALL
    SELECT assignee_id, account_id, 'task' FROM crm_task WHERE done_at IS NULL AND assignee_id IS NOT NULL
    UNION ALL
    SELECT assignee_id, account_id, 'alert' FROM crm_alert WHERE resolved_at IS NULL AND assignee_id IS NOT NULL
    UNION ALL
    (WITH {MOVES} SELECT by_id, account_id, 'outreach' FROM moves
     WHERE from_stage = '{Stage.NEW}' AND to_stage = '{Stage.INITIATED}' AND by_id IS NOT NULL
       AND at >= %(load_at)s)
    UNION ALL
    SELECT host.user_id, call.account_id, 'call' FROM crm_call call JOIN crm_callhost host ON host.call_id = call.id
    WHERE status = 'held' AND starts_at >= %(load_at)s AND starts_at < %(tomorrow_at)s
    UNION ALL
    SELECT person.id, NULL, 'person' FROM crm_user person WHERE is_active AND EXISTS (
        SELECT FROM crm_user_groups JOIN auth_group ON auth_group.id = group_id
        WHERE user_id = person.id AND auth_group.name IN ({_WORKING}))
    """,
    (Key("person", "Person", "person"),),
    (
        counted("accounts", "Open accounts", "what = 'account'"),
        counted("tasks", "Open tasks", "what = 'task'"),
        counted("alerts", "Open alerts", "what = 'alert'"),
        counted("outreaches", "Outreaches", "what = 'outreach'"),
        Column(
            "a_day",
            "A working day",
            f"round(count(*) FILTER (WHERE what = 'outreach') / {WORKING_DAYS}.0, 1)",
            "score",
        ),
        counted("calls", "Calls held", "what = 'call'"),
    ),
    plot=("bars", "accounts"),
)

_OUTCOMES = {
    "taken": "Taken by Sales",
    "waiting": "Nobody named yet",
    "refused": "Disqualified",
    "returned": "Taken back",
    "churned": "Churned",
    "other": "Elsewhere",
}
HANDOFFS = Metric(
    "handoffs",
    "Handoffs to Sales",
    "team",
    "Each move into 6c by its month, and what became of it: still there with or without an AE, CSM or AM; disqualified"
    " by Sales since; taken back to 1; churned; or moved elsewhere.",
    "moves, accounts, signals",
    f"""
    WITH {MOVES}
    SELECT handed.account_id, {month("handed.at")} AS handed,
           CASE WHEN next.to_stage = '{Stage.NEW}' THEN 'returned' WHEN next.to_stage = '{Stage.CHURNED}' THEN 'churned'
                WHEN next.to_stage IS NOT NULL THEN 'other' WHEN account.sales_contact_kind <> '' THEN 'taken'
                WHEN EXISTS (SELECT FROM crm_signal WHERE account_id = handed.account_id
                             AND kind = 'sales_disqualified' AND crm_signal.at >= handed.at) THEN 'refused'
                ELSE 'waiting' END AS outcome
    FROM moves handed
    JOIN crm_account account ON account.id = handed.account_id
    LEFT JOIN LATERAL (
        SELECT to_stage FROM crm_stagetransition later
        WHERE later.account_id = handed.account_id AND later.version > handed.version
          AND cause NOT LIKE 'undo:%%' AND id NOT IN (SELECT id FROM undone)
        ORDER BY version LIMIT 1
    ) AS next ON TRUE
    WHERE handed.to_stage = '{Stage.SALES_HANDOFF}' AND handed.at >= %(year_at)s
    """,
    (Key("handed", "Handed over in", "month", every=months_until()),),
    (
        counted("handoffs", "Handoffs"),
        *(counted(name, words, f"outcome = '{name}'") for name, words in _OUTCOMES.items()),
    ),
    newest_first=True,
)

SURVEY = Metric(
    "survey",
    "Survey",
    "team",
    "Surveys by the month they were sent: how many were answered, the mean score of 0 to 10 to one place, the answers"
    " that count as low by the policy, and those of 9 and 10.",
    "surveys",
    f"""
    SELECT account_id, {month("asked_at")} AS asked, score FROM crm_survey
    WHERE asked_at >= %(year_at)s
    """,
    (Key("asked", "Sent in", "month", every=months_until()),),
    (
        counted("sent", "Sent"),
        counted("answered", "Answered", "score IS NOT NULL"),
        share("share", "Answered, share", "answered", "sent"),
        Column("mean", "Mean score", "round(avg(score), 1)", "score"),
        counted("low", "Low", "score <= %(survey_low_score)s"),
        counted("high", "9 and 10", "score >= 9"),
    ),
    settles=2,
    newest_first=True,
)


def _within(part: float) -> str:
    return f"percentile_disc({part}) WITHIN GROUP (ORDER BY days) FILTER (WHERE closed)"


_KINDS = {name: kind.label for name, kind in ALERT_KINDS.items()}

ALERTS = Metric(
    "alerts",
    "Alerts",
    "team",
    f"Alerts by kind: raised and closed in the last {DAYS} days, open now, and the least number of days within which"
    " half of those closed, and nine in ten, were closed after they were raised.",
    "alerts",
    f"""
    SELECT account_id, kind, resolved_at IS NULL AS is_open, {day("raised_at")} > %(today)s::date - {DAYS} AS raised,
           COALESCE({day("resolved_at")} > %(today)s::date - {DAYS}, FALSE) AS closed,
           {day("resolved_at")} - {day("raised_at")} AS days
    FROM crm_alert
    WHERE resolved_at IS NULL OR resolved_at >= %(today)s::date - {DAYS + 2}
       OR raised_at >= %(today)s::date - {DAYS + 2}
    """,
    (Key("kind", "Kind", labels=_KINDS, every=all_of(_KINDS)),),
    (
        counted("raised", "Raised", "raised"),
        counted("closed", "Closed", "closed"),
        counted("open_now", "Open now", "is_open"),
        Column(
            "median",
            "Median to close",
            _within(0.5),
            "days",
        ),
        Column(
            "p90",
            "Nine in ten within",
            _within(0.9),
            "days",
        ),
    ),
    plot=("bars", "raised", "closed"),
)
