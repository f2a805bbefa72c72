"""How accounts come through: who entered, how far they came, how long they stood, when they were written to."""

from __future__ import annotations

from apps.crm.metrics.base import (
    DAYS,
    MOVES,
    WEEKS,
    Column,
    Key,
    Metric,
    all_of,
    counted,
    day,
    month,
    months_until,
    share,
    week,
    weeks_until_now,
)
from apps.crm.pipeline import AFTER_INTRO_CALL, STAGES, TOO_LONG_AFTER, Stage


def _any(stages: tuple[Stage, ...]) -> str:
    return ", ".join(f"'{stage}'" for stage in stages)


_HELD = (Stage.INTRO_CALL_COMPLETED, Stage.SECOND_CALL_COMPLETED)


def contacted(since: str = "TRUE") -> str:
    """SQL for each entry at 1, when it was written to, and whether that was in time.

    The renewal that follows an entry is the end of the first billing period to end on that day or later; where no bill
    tells it, the account's own. What is kept with the entry is the first such end since the day before.
    """
    return f"""
    SELECT *, CASE WHEN written_on <= entered_on + %(outreach_after_entry_days)s THEN TRUE
                   WHEN written_on IS NOT NULL
                        OR waiting AND %(today)s::date > entered_on + %(outreach_after_entry_days)s THEN FALSE
              END AS in_week,
           CASE WHEN renewed_on IS NULL OR renewed_on - %(outreach_before_renewal_days)s < entered_on THEN NULL
                WHEN written_on <= renewed_on - %(outreach_before_renewal_days)s THEN TRUE
                WHEN written_on IS NOT NULL
                     OR waiting AND %(today)s::date > renewed_on - %(outreach_before_renewal_days)s THEN FALSE
           END AS in_time
    FROM (
        SELECT account_id, at, {day("at")} AS entered_on, next_stage = '' AS waiting,
               CASE WHEN next_stage = '{Stage.INITIATED}' THEN {day("left_at")} END AS written_on,
               CASE WHEN renewed_on >= {day("at")} THEN renewed_on
                    ELSE COALESCE(
                        CASE WHEN renewed_on IS NOT NULL THEN (
                            SELECT min(period_end) FROM crm_bill WHERE account_id = entry.account_id
                            AND status <> 'void' AND period_end >= {day("at")}) END,
                        (SELECT renewal_on FROM crm_account WHERE id = entry.account_id AND renewal_on >= {day("at")})
                    ) END AS renewed_on
        FROM crm_entry entry WHERE {since}
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
    WHERE at >= %(year_at)s
    """,
    (Key("entered", "Entered in", "month", every=months_until()),),
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

_TIMED = tuple(stage for stage in STAGES if stage in TOO_LONG_AFTER or stage == Stage.PAID_CALL)
_PLACES = {
    **{str(stage): stage.label for stage in _TIMED},
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
        SELECT account_id, version, to_stage, at, lead(at) OVER way AS left_at, {_GROUP} AS party,
               lag({_GROUP}) OVER way AS party_before
        FROM moves
        WHERE account_id IN (SELECT account_id FROM crm_stagetransition WHERE at >= %(days_at)s)
        WINDOW way AS (PARTITION BY account_id ORDER BY version)
    ), stays AS (
        SELECT account_id, to_stage, at, left_at, party, party IS DISTINCT FROM party_before AS begun,
               (array_agg(at) FILTER (WHERE party IS DISTINCT FROM party_before) OVER (
                   PARTITION BY account_id ORDER BY version ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
               ))[1] AS party_left_at
        FROM lately
    )
    SELECT account_id, place, {day("place_left_at")} - {day("at")} AS days
    FROM stays CROSS JOIN LATERAL (VALUES (to_stage::text, left_at), (CASE WHEN begun THEN party END, party_left_at))
         AS places (place, place_left_at)
    WHERE place_left_at >= %(days_at)s AND place IN ({_any(_TIMED)}, 'group 3', 'group 4')
    """,
    (Key("place", "Stage", "stage", labels=_PLACES, every=all_of(_PLACES)),),
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
    WHERE at >= %(weeks_at)s
    """,
    (Key("week", "Week of", "week", every=weeks_until_now),),
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
    " days before the renewal that followed, where one is known and the entry left time for that. Who left 1 another"
    " way, by a booking or to Sales, needed none and counts in neither; who waits still counts once it is late.",
    "moves, bills, accounts",
    f"""
    SELECT *, {month("at")} AS entered FROM ({contacted("at >= %(year_at)s")}) AS written
    """,
    (Key("entered", "Entered in", "month", every=months_until()),),
    (
        counted("accounts", "Entered"),
        counted("in_week", "In time", "in_week"),
        counted("late", "Later", "NOT in_week"),
        share("week_share", "Week one", "in_week", "due_week"),
        counted("due_week", "Judged for week one", "in_week IS NOT NULL"),
        counted("in_time", "By T-14", "in_time"),
        counted("not_in_time", "Not by T-14", "NOT in_time"),
        counted("due_time", "Judged for T-14", "in_time IS NOT NULL"),
        share("time_share", "T-14", "in_time", "due_time"),
    ),
    settles=2,
    plot=("share", "week_share", "time_share"),
    newest_first=True,
)
