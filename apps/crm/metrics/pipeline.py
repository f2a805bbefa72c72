"""How accounts come through: who entered, how far they came, how long they stood, when they were written to."""

from __future__ import annotations

from apps.crm.metrics.base import (
    DAYS,
    MONTHS,
    MOVES,
    WEEKS,
    Column,
    Key,
    Metric,
    counted,
    day,
    month,
    share,
    week,
)
from apps.crm.pipeline import AFTER_INTRO_CALL, STAGES, TOO_LONG_AFTER, Stage


def _any(stages: tuple[Stage, ...]) -> str:
    return ", ".join(f"'{stage}'" for stage in stages)


_HELD = (Stage.INTRO_CALL_COMPLETED, Stage.SECOND_CALL_COMPLETED)
_SINCE = f"date_trunc('month', %(today)s::date) - interval '{MONTHS - 1} months'"
# Each entry at 1, when it was written to, and whether that was in time. The renewal that follows an entry is the end
# of the first billing period to end on that day or later; where no bill tells it, the account's own. What is kept with
# the bills is right where it is not before the entry, for it is the first such end of an earlier day.
CONTACTED = f"""
    SELECT *, CASE WHEN written_on <= entered_on + %(outreach_after_entry_days)s THEN TRUE
                   WHEN written_on IS NOT NULL
                        OR waiting AND %(today)s::date > entered_on + %(outreach_after_entry_days)s THEN FALSE
              END AS in_week,
           CASE WHEN renewed_on - %(outreach_before_renewal_days)s < entered_on THEN NULL
                WHEN written_on <= renewed_on - %(outreach_before_renewal_days)s THEN TRUE
                WHEN written_on IS NOT NULL
                     OR waiting AND %(today)s::date > renewed_on - %(outreach_before_renewal_days)s THEN FALSE
           END AS in_time
    FROM (
        SELECT entry.account_id, entry.at, {day("entry.at")} AS entered_on, next_stage = '' AS waiting,
               CASE WHEN next_stage = '{Stage.INITIATED}' THEN {day("left_at")} END AS written_on,
               COALESCE(
                   CASE WHEN entry.at = account.entered_at AND billed.renewed_on >= {day("entry.at")}
                        THEN billed.renewed_on
                        ELSE (SELECT min(period_end) FROM crm_bill bill WHERE bill.account_id = entry.account_id
                              AND status <> 'void' AND period_end >= {day("entry.at")})
                   END,
                   CASE WHEN account.renewal_on >= {day("entry.at")} THEN account.renewal_on END
               ) AS renewed_on
        FROM crm_entry entry
        JOIN crm_account account ON account.id = entry.account_id
        LEFT JOIN crm_billed billed ON billed.account_id = entry.account_id
        WHERE entry.at >= {_SINCE} - interval '{MONTHS} months'
        OFFSET 0
    ) AS entries
"""

FUNNEL = Metric(
    "funnel",
    "Funnel",
    "pipeline",
    "Each entry at 1 by its month: how many of them were written to, engaged (3a or later), had a call (4a or later),"
    " and where they ended or stand until they entered again. Moves that were undone count for nothing.",
    "moves",
    f"""
    SELECT account_id, {month("at")} AS entered, written, engaged, called, stands FROM crm_entry
    WHERE at >= {_SINCE} - interval '2 days' AND {month("at")} >= {_SINCE}
    """,
    (Key("entered", "Entered in", "month"),),
    (
        counted("accounts", "Entered"),
        counted("written", "Written to", "written"),
        counted("engaged", "Engaged", "engaged"),
        counted("called", "Had a call", "called"),
        counted("in_6a", "6a", f"stands = '{Stage.ONBOARDED_NO_ENGAGEMENT}'"),
        counted("in_6b", "6b", f"stands = '{Stage.ONBOARDED_ENGAGED}'"),
        counted("in_6c", "6c", f"stands = '{Stage.SALES_HANDOFF}'"),
        counted("in_6d", "6d", f"stands = '{Stage.CHURNED}'"),
        counted(
            "still_open",
            "Open",
            f"stands NOT IN ('{Stage.ONBOARDED_NO_ENGAGEMENT}', '{Stage.ONBOARDED_ENGAGED}', "
            f"'{Stage.SALES_HANDOFF}', '{Stage.CHURNED}')",
        ),
    ),
    plot=("steps", "accounts", "written", "engaged", "called", "in_6a", "in_6b", "in_6c", "in_6d"),
    newest_first=True,
)

_GROUPS = {
    "group 3": "3. Both of 3a and 3b",
    "group 4": "4. All of 4a to 4c",
}
_GROUP = f"""CASE WHEN to_stage IN ('{Stage.ENGAGED_EMAIL}', '{Stage.CALL_BOOKED}') THEN 'group 3'
                  WHEN to_stage IN ({_any(AFTER_INTRO_CALL)}) THEN 'group 4' ELSE '' END"""

TIME_IN_STAGE = Metric(
    "time-in-stage",
    "Time in stage",
    "pipeline",
    f"Stays at an open stage that ended in the last {DAYS} days, in the team's days: the least number of days that half"
    " of them, and nine in ten, did not exceed. Groups 3 and 4 are stays at any of their stages without a break.",
    "moves",
    f"""
    WITH {MOVES}, lately AS (
        SELECT moves.*, {_GROUP} AS party FROM moves
        WHERE account_id IN (SELECT account_id FROM crm_stagetransition WHERE {day("at")} >= %(today)s::date - {DAYS}
                             AND at >= %(today)s::date - {DAYS + 2})
    ), stays AS (
        SELECT account_id, to_stage AS place, at, lead(at) OVER way AS left_at
        FROM lately WINDOW way AS (PARTITION BY account_id ORDER BY version)
        UNION ALL
        SELECT account_id, party, at, lead(at) OVER way AS left_at
        FROM (SELECT *, lag(party) OVER (PARTITION BY account_id ORDER BY version) AS party_before
              FROM lately) AS parted
        WHERE party IS DISTINCT FROM party_before
        WINDOW way AS (PARTITION BY account_id ORDER BY version)
    )
    SELECT account_id, place, {day("left_at")} - {day("at")} AS days FROM stays
    WHERE {day("left_at")} >= %(today)s::date - {DAYS}
      AND place IN ({_any(tuple(stage for stage in STAGES if stage in TOO_LONG_AFTER or stage == Stage.PAID_CALL))},
                    'group 3', 'group 4')
    """,
    (
        Key(
            "place",
            "Stage",
            "stage",
            labels={
                **{
                    str(stage): stage.label
                    for stage in STAGES
                    if stage in TOO_LONG_AFTER or stage == Stage.PAID_CALL
                },
                **_GROUPS,
            },
        ),
    ),
    (
        counted("stays", "Stays ended"),
        Column("median", "Median", "percentile_disc(0.5) WITHIN GROUP (ORDER BY days)", "days"),
        Column("p90", "Nine in ten within", "percentile_disc(0.9) WITHIN GROUP (ORDER BY days)", "days"),
    ),
    plot=("bars", "median", "p90"),
)

THROUGHPUT = Metric(
    "throughput",
    "Throughput a week",
    "pipeline",
    f"What was moved in each of the last {WEEKS} weeks, Monday to Sunday, the running one included: entries at 1,"
    " first outreaches (1 to 2), calls held, and closings. Moves that were undone count for nothing.",
    "moves",
    f"""
    WITH {MOVES}
    SELECT account_id, {week("at")} AS week, from_stage, to_stage FROM moves
    WHERE at >= date_trunc('week', %(today)s::date) - interval '{WEEKS} weeks'
      AND {week("at")} > date_trunc('week', %(today)s::date) - interval '{WEEKS} weeks'
    """,
    (Key("week", "Week of", "week"),),
    (
        counted("entered", "Entered", f"to_stage = '{Stage.NEW}'"),
        counted("written", "Outreaches", f"from_stage = '{Stage.NEW}' AND to_stage = '{Stage.INITIATED}'"),
        counted(
            "called",
            "Calls held",
            f"to_stage IN ({_any(_HELD)})",
        ),
        counted("in_6a", "6a", f"to_stage = '{Stage.ONBOARDED_NO_ENGAGEMENT}'"),
        counted("in_6b", "6b", f"to_stage = '{Stage.ONBOARDED_ENGAGED}'"),
        counted("in_6c", "6c", f"to_stage = '{Stage.SALES_HANDOFF}'"),
        counted("in_6d", "6d", f"to_stage = '{Stage.CHURNED}'"),
    ),
    plot=("columns", "entered", "written"),
    newest_first=True,
)

OUTREACH = Metric(
    "outreach",
    "First outreach on time",
    "pipeline",
    "Each entry at 1 by its month: written to (1 to 2) within the days the policy gives after entry, and by so many"
    " days before the renewal that followed, where the entry left time for that. Who left 1 another way, by a booking"
    " or to Sales, needed none and counts in neither; who waits still counts once it is late.",
    "moves, bills, accounts",
    f"""
    SELECT *, {month("at")} AS entered FROM ({CONTACTED}) AS written
    WHERE at >= {_SINCE} - interval '2 days' AND {month("at")} >= {_SINCE}
    """,
    (Key("entered", "Entered in", "month"),),
    (
        counted("accounts", "Entered"),
        counted("in_week", "In time", "in_week"),
        counted("late", "Later", "NOT in_week"),
        share("week_share", "Week one", "in_week", "due_week"),
        counted("due_week", "Judged", "in_week IS NOT NULL"),
        counted("in_time", "By T-14", "in_time"),
        counted("not_in_time", "Not by T-14", "NOT in_time"),
        counted("due_time", "Judged", "in_time IS NOT NULL"),
        share("time_share", "T-14", "in_time", "due_time"),
    ),
    settles=2,
    plot=("share", "week_share", "time_share"),
    newest_first=True,
)
