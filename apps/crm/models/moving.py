"""The one writer of an account's stage.

Board, list, account page, bulk, admin, API, playbooks, events and imports all end in ``Movable.move`` or, for many
accounts at once, in ``MovableQuerySet.move_all``. Triggers in the database refuse every other way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from django.db import connection, transaction
from django.db.models import F
from psycopg.types.json import Jsonb

from apps.crm.models.alert import Alert
from apps.crm.models.counted import CountedQuerySet
from apps.crm.models.task import Task
from apps.crm.models.transition import StageTransition, is_automatic
from apps.crm.models.user import User
from apps.crm.options import permitted, refusal, rule_of
from apps.crm.pipeline import AFTER_INTRO_CALL, MOVES, REACHED_BY_ENGAGEMENT, Engagement, Pipeline, Stage
from apps.crm.policy import Policy

# What a move may change on the account beside its stage and version, and what undo therefore restores.
_RESTORED = (
    "stage_since",
    "entered_at",
    "engaged_at",
    "engaged_via",
    "intro_call_completed_at",
    "stage_before_paid_call",
    "held_by",
    "quarantine",
)
_TIMES = ("stage_since", "entered_at", "engaged_at", "intro_call_completed_at")

MOVED_FIRST = "Somebody has moved it since."


# In one statement the ledger's row is written first: the account changes its stage only together with it.
_STORE = """
    WITH ledger AS (
        INSERT INTO crm_stagetransition
            (account_id, version, from_stage, to_stage, at, by_id, cause, reason, before)
        VALUES (%(account_id)s, %(version)s, %(from_stage)s, %(to_stage)s, %(at)s, %(by_id)s, %(cause)s, %(reason)s,
                %(before)s)
        RETURNING id
    )
    UPDATE crm_account SET stage = %(to_stage)s, version = %(version)s{also} FROM ledger
    WHERE crm_account.id = %(account_id)s AND stage = %(from_stage)s AND version = %(version)s - 1
    RETURNING ledger.id
"""


class MoveError(Exception):
    """A move that did not happen, with the sentence to show. Nothing was changed.

    ``rule`` says it without the days and names that differ from account to account.
    """

    code = "refused"

    def __init__(self, sentence: str, rule: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.rule = rule or sentence


class Refused(MoveError):
    """The pipeline does not permit it."""


class Conflict(MoveError):
    """Somebody else moved the account first."""

    code = "conflict"


class ReasonRequired(MoveError):
    """The move needs a text that was not given."""

    code = "reason_required"


class Movable(Pipeline):
    """An account as far as its moves go. All three ways to move it lock its row first."""

    pk: Any
    held_by: Any
    quarantine: Any
    open_alerts: Any
    calls: Any

    class Meta:
        abstract = True

    def lock(self) -> None:
        """Take the account's row for the rest of the transaction, before anything that hangs on it."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM crm_account WHERE id = %s FOR NO KEY UPDATE", [self.pk])

    def move(
        self,
        to: Stage,
        *,
        by: User | None,
        now: datetime,
        cause: str,
        reason: str = "",
        version: int | None = None,
    ) -> StageTransition | None:
        """Move the account to a stage and return the ledger row, or None where it stands there already.

        ``version`` is the one the caller saw; None moves whatever the account has become. ``cause`` is one of
        the ledger's causes. Raises ``Conflict``, ``Refused`` or ``ReasonRequired`` and then changes nothing.
        """
        with transaction.atomic():
            here = self._locked()
            here._expect(version)
            if here.stage == to:
                return None
            automatic = is_automatic(cause)
            if sentence := refusal(here, to, automatic=automatic):
                raise Refused(sentence, sentence if automatic else rule_of(here, to))
            rule = MOVES[Stage(here.stage), to]
            if rule.needs and not reason.strip():
                raise ReasonRequired(f"“{to.label}” needs a {rule.needs}.")
            row = here._write(
                rule.method, engages=rule.engages, by=by, now=now, cause=cause, reason=reason.strip()
            )
        self._become(here)
        return row

    def leave_paid_call(
        self, *, by: User | None, now: datetime, cause: str, reason: str = "", version: int | None = None
    ) -> StageTransition:
        """Take the account back to where it stood before it bought a call.

        An event does so only on a refund, and only while the call has not been held. Raises as ``move`` does.
        """
        with transaction.atomic():
            here = self._locked()
            here._expect(version)
            if here.stage != Stage.PAID_CALL:
                raise Refused(f"It is not in “{Stage.PAID_CALL.label}”, so there is no paid call to leave.")
            if is_automatic(cause) and here.calls.filter(kind="consultation", status="held").exists():
                raise Refused("The paid call has been held, so a refund does not take the account back.")
            row = here._write("back_from_paid_call", by=by, now=now, cause=cause, reason=reason.strip())
        self._become(here)
        return row

    def undo(
        self,
        *,
        by: User,
        now: datetime,
        reason: str = "",
        transition_id: int | None = None,
        version: int | None = None,
    ) -> StageTransition:
        """Take back the last move: stage, recorded engagement, and the tasks and alerts it made.

        ``transition_id`` and ``version`` say which move the person saw as the last. Raises ``Conflict`` when
        something has moved since and ``Refused`` when the move is not theirs to undo any more.
        """
        with transaction.atomic():
            here = self._locked()
            last = here._last_move()
            if last is None:
                raise Refused("It has not been moved yet, so there is nothing to undo.")
            if transition_id is not None and transition_id != last.pk:
                raise Conflict(here._told(last), MOVED_FIRST)
            here._expect(version)
            if sentence := last.undo_refusal(by, Policy.at(now)):
                raise Refused(sentence)
            row = here._write(
                "undo_move",
                last.from_stage,
                restore=last.before,
                by=by,
                now=now,
                cause=f"undo:{last.pk}",
                reason=reason.strip(),
            )
            Task.objects.open().filter(transition=last).update(done_at=now, done_by=by, dropped=True)
            Alert.objects.open().filter(transition=last).update(
                resolved_at=now, resolved_by=by, resolution="The move that raised it was undone."
            )
            Alert.objects.filter(ended_by=last).update(resolved_at=None, resolution="", ended_by=None)
            here.recount()
        self._become(here)
        return row

    def recount(self) -> None:
        """Bring the counts kept on the account up to date."""
        type(self).objects.recount_these([self.pk])  # type: ignore[attr-defined]

    def _locked(self) -> Self:
        here: Self = type(self).objects.locked(self.pk)  # type: ignore[attr-defined]
        return here

    def _become(self, other: Self) -> None:
        """Take over what the locked copy has become."""
        for field in self._meta.concrete_fields:
            self.__dict__[field.attname] = other.__dict__[field.attname]

    def _last_move(self) -> StageTransition | None:
        return StageTransition.objects.select_related("by").filter(account=self.pk).first()

    def _expect(self, version: int | None) -> None:
        if version is not None and version != self.version:
            raise Conflict(self._told(self._last_move()), MOVED_FIRST)

    def _told(self, last: StageTransition | None) -> str:
        if last is None:
            return "It has not been moved yet."
        return f"{last.actor} moved it to “{Stage(self.stage).label}” first."

    def rehearse(
        self,
        method: str,
        *args: str,
        by: User | None,
        now: datetime,
        cause: str,
        reason: str,
        engages: Engagement | None = None,
        restore: Mapping[str, Any] | None = None,
    ) -> StageTransition:
        """Make the FSM transition on this copy alone, with all that follows from it; nothing is stored.

        ``restore`` takes facts back instead, as undo does. Returns the ledger row, not yet written.
        """
        source = self.stage
        was = {name: getattr(self, name) for name in _RESTORED}
        getattr(self, method)(*args)
        if restore is None:
            self._note_facts(Stage(source), engages, now)
            if not is_automatic(cause):
                # A person has looked at it: from here on the playbooks may, too.
                self.held_by = self.quarantine = ""
        else:
            for name, value in restore.items():
                setattr(self, name, datetime.fromisoformat(value) if value and name in _TIMES else value)
        self.version += 1
        return StageTransition(
            account_id=self.pk,
            version=self.version,
            from_stage=source,
            to_stage=self.stage,
            at=now,
            by=by,
            cause=cause,
            reason=reason,
            before={
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in was.items()
                if getattr(self, name) != value
            },
        )

    def _write(self, method: str, *args: str, cause: str, now: datetime, **more: Any) -> StageTransition:
        """Make the move and store it: ledger row first, then the account by compare-and-set."""
        row = self.rehearse(method, *args, cause=cause, now=now, **more)
        changed = {name: getattr(self, name) for name in row.before}
        also = "".join(f", {name} = %({name})s" for name in changed)
        values: dict[str, Any] = {**vars(row), **changed, "before": Jsonb(row.before)}
        with connection.cursor() as cursor:
            cursor.execute(_STORE.format(also=also), values)
            stored = cursor.fetchone()
        if stored is None:
            raise Conflict(self._told(self._last_move()), MOVED_FIRST)
        row.pk, row._state.adding = stored[0], False
        if self.open_alerts:
            ended = Alert.objects.filter(account=self.pk).ended_by(Stage(self.stage))
            if ended.update(resolved_at=now, resolution="The account moved on.", ended_by=row):
                self.recount()
        return row

    def _note_facts(self, source: Stage, engages: Engagement | None, now: datetime) -> None:
        """Set what follows from the move just made."""
        self.stage_since = now if self.stage else None
        if self.stage == Stage.NEW:
            self.entered_at = now
        if engages and self.engaged_at is None:
            self.engaged_at, self.engaged_via = now, engages
        if self.stage == Stage.INTRO_CALL_COMPLETED:
            self.intro_call_completed_at = self.intro_call_completed_at or now
        if self.stage == Stage.PAID_CALL:
            self.stage_before_paid_call = source


class MovableQuerySet(CountedQuerySet):
    """Accounts, as far as moving many of them at once goes. Both methods must run inside a transaction."""

    def move_all(
        self, to: Stage, *, now: datetime, cause: str, reasons: Mapping[int, str], **also: Any
    ) -> dict[int, int]:
        """Move the accounts that ``reasons`` names by id and that may go to ``to`` on a playbook's behalf.

        Returns the ledger row's id for each account that moved; the others are left alone. Only for moves that
        record no engagement: those come one by one, with an event. ``also`` is what else becomes of an account,
        written in the same breath, such as a count of what the caller adds to it.
        """
        assert is_automatic(cause)
        assert to != Stage.PAID_CALL
        assert not any(rule.engages for (_, target), rule in MOVES.items() if target == to and rule.automatic)
        ids = list(
            self.model.objects.filter(permitted(to, automatic=True), pk__in=list(reasons))
            .order_by("pk")
            .select_for_update(of=("self",), no_key=True)
            .values_list("pk", flat=True)
        )
        enters = to == Stage.NEW
        moved = self._ledger(
            """
            SELECT account.id, account.version + 1, account.stage, %(to)s, %(now)s, NULL, %(cause)s, given.reason,
                   CASE WHEN %(enters)s
                        THEN jsonb_build_object('stage_since', stage_since, 'entered_at', entered_at)
                        ELSE jsonb_build_object('stage_since', stage_since) END
            FROM crm_account account
            JOIN unnest(%(ids)s::bigint[], %(reasons)s::text[]) AS given (id, reason) USING (id)
            """,
            {
                "to": str(to),
                "now": now,
                "cause": cause,
                "enters": enters,
                "ids": ids,
                "reasons": [reasons[pk] for pk in ids],
            },
        )
        ended = Alert.objects.filter(account__in=moved).ended_by(to)
        for alert in ended:
            alert.resolved_at, alert.resolution, alert.ended_by_id = (
                now,
                "The account moved on.",
                moved[alert.account_id],
            )
        if ended:
            Alert.objects.bulk_update(ended, ["resolved_at", "resolution", "ended_by"])
            self.model.objects.filter(pk__in={alert.account_id for alert in ended}).recount()
        changed: dict[str, Any] = {"stage": to, "version": F("version") + 1, "stage_since": now, **also}
        if enters:
            changed["entered_at"] = now
        self.model.objects.filter(pk__in=moved).update(**changed)
        return moved

    def first_load(
        self, places: Mapping[int, tuple[Stage, datetime]], *, by: User | None, now: datetime
    ) -> dict[int, int]:
        """Place accounts that the same import has just created: id to (stage, since), since never in the future.

        A file moves nobody who is here: accounts that have moved before are left alone. Returns the ledger row's
        id for each account placed.
        """
        placed = self._ledger(
            """
            SELECT account.id, 1, '', given.stage, LEAST(given.since, %(now)s), %(by)s, 'import', '',
                   '{"stage_since": null}'::jsonb
            FROM crm_account account
            JOIN unnest(%(ids)s::bigint[], %(stages)s::text[], %(since)s::timestamptz[])
                 AS given (id, stage, since) USING (id)
            WHERE account.version = 0
            """,
            {
                "now": now,
                "by": by.pk if by else None,
                "ids": list(places),
                "stages": [str(stage) for stage, _ in places.values()],
                "since": [since for _, since in places.values()],
            },
        )
        with connection.cursor() as cursor:
            cursor.execute(
                """
                UPDATE crm_account account
                SET stage = row.to_stage, version = 1, stage_since = row.at, entered_at = row.at,
                    engaged_at = CASE WHEN row.to_stage = ANY(%(engaged)s) THEN row.at ELSE account.engaged_at END,
                    engaged_via = CASE WHEN row.to_stage = ANY(%(engaged)s)
                                       THEN %(via)s::jsonb ->> row.to_stage ELSE engaged_via END,
                    intro_call_completed_at = CASE WHEN row.to_stage = ANY(%(after_intro)s) THEN row.at END
                FROM crm_stagetransition row
                WHERE row.id = ANY(%(rows)s::bigint[]) AND row.account_id = account.id
                """,
                {
                    "engaged": [str(stage) for stage in REACHED_BY_ENGAGEMENT],
                    "via": json.dumps({str(stage): via for stage, via in REACHED_BY_ENGAGEMENT.items()}),
                    "after_intro": [str(stage) for stage in AFTER_INTRO_CALL],
                    "rows": list(placed.values()),
                },
            )
        return placed

    def _ledger(self, select: str, values: Mapping[str, Any]) -> dict[int, int]:
        """Write ledger rows from a SELECT of their columns; account id to row id."""
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO crm_stagetransition"
                " (account_id, version, from_stage, to_stage, at, by_id, cause, reason, before)"
                f" {select} RETURNING account_id, id",
                values,
            )
            return dict(cursor.fetchall())
