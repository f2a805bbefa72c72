"""The one writer of what other systems report about accounts: the import's, the API's and the events'.

Any number of rows is copied into a temporary table and compared there, so that every step is one statement and
an account that says nothing new is not written at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, transaction

from apps.crm.fields import Problem, shown
from apps.crm.models import Account, User
from apps.crm.models.erasure import PERSON_HASH
from apps.crm.pipeline import Stage
from apps.crm.reported import BIT, COLUMNS, COPY, TABLE, copied

_FIND = """
UPDATE reported SET account_id = account.id FROM crm_account account
WHERE account.external_id = reported.external_id AND reported.account_id IS NULL
"""

# Whoever was erased is not brought back by what others still say of them.
_WITHOUT_ERASED = f"""
UPDATE reported SET contacts = (
    SELECT coalesce(jsonb_agg(said), '[]') FROM jsonb_array_elements(contacts) AS said
    WHERE {PERSON_HASH.format("(said ->> 'email')")} NOT IN (SELECT hash FROM crm_erasure)
)
WHERE EXISTS (SELECT FROM crm_erasure) AND EXISTS (
    SELECT FROM jsonb_array_elements(contacts) AS said
    JOIN crm_erasure ON hash = {PERSON_HASH.format("(said ->> 'email')")}
)
"""

# Each gives the row's number, the field, the value and the sentence.
_WRONG = {
    "twice": """
        SELECT row, 'external_id', external_id, 'stands here twice, first at ' || first || '.'
        FROM (SELECT row, external_id, min(row) OVER (PARTITION BY external_id) AS first FROM reported) each
        WHERE row > first
    """,
    "nameless": """
        SELECT row, 'name', '', 'is missing, and the account is new.'
        FROM reported WHERE account_id IS NULL AND name IS NULL
    """,
    "customer of two rows": """
        SELECT row, 'stripe_customer_id', stripe_customer_id,
               'stands here twice, first at ' || first || '.'
        FROM (SELECT row, stripe_customer_id, min(row) OVER (PARTITION BY stripe_customer_id) AS first
              FROM reported WHERE stripe_customer_id IS NOT NULL) each
        WHERE row > first
    """,
    "customer of another account": """
        SELECT row, 'stripe_customer_id', reported.stripe_customer_id,
               'belongs to the account ' || account.external_id || ' already.'
        FROM reported JOIN crm_account account USING (stripe_customer_id)
        WHERE account.external_id <> reported.external_id
    """,
}
_PROBLEMS = " UNION ALL ".join(_WRONG.values()) + " ORDER BY 1, 2"

_LOCK = """
SELECT count(*) FROM (
    SELECT FROM crm_account account JOIN reported ON reported.account_id = account.id AND NOT reported.created
    ORDER BY account.id FOR NO KEY UPDATE OF account
) locked
"""


def _said(column: str) -> str:
    """What a column is to be: what the row says, or what the account has where the row is silent."""
    return f"CASE WHEN reported.given & {BIT[column]} <> 0 THEN reported.{column} ELSE account.{column} END"


_MARK_CHANGED = f"""
UPDATE reported SET changed = true FROM crm_account account
WHERE account.id = reported.account_id AND NOT created AND (
    ({", ".join(f"account.{column}" for column in COLUMNS)})
        IS DISTINCT FROM ({", ".join(_said(column) for column in COLUMNS)})
    OR EXISTS (
        SELECT FROM jsonb_to_recordset(reported.contacts) AS said (email text, name text, role text)
        LEFT JOIN crm_contact contact ON contact.account_id = account.id AND contact.email = said.email
        WHERE contact.id IS NULL OR contact.name <> said.name OR contact.role <> said.role
    )
    OR EXISTS (
        SELECT FROM unnest(reported.labels || reported.more_labels) AS said
        WHERE lower(said) NOT IN (
            SELECT lower(label.name) FROM crm_accountlabel worn JOIN crm_label label ON label.id = worn.label_id
            WHERE worn.account_id = account.id
        )
    )
    OR reported.labels IS NOT NULL AND EXISTS (
        SELECT FROM crm_accountlabel worn JOIN crm_label label ON label.id = worn.label_id
        WHERE worn.account_id = account.id AND lower(label.name) NOT IN (
            SELECT lower(said) FROM unnest(reported.labels || reported.more_labels) AS said
        )
    )
)
"""

_UPDATE = f"""
UPDATE crm_account account
SET {", ".join(f"{column} = {_said(column)}" for column in COLUMNS)},
    payment_risk_at = CASE WHEN account.payment_risk = {_said("payment_risk")}
                           THEN account.payment_risk_at ELSE %(now)s END,
    payment_risk_by_id = CASE WHEN account.payment_risk = {_said("payment_risk")}
                              THEN account.payment_risk_by_id ELSE %(by)s END,
    reported_by = %(source)s, reported_at = %(now)s, changed_at = %(now)s
FROM reported WHERE account.id = reported.account_id AND reported.changed
"""

_CONTACTS = (
    """
    UPDATE crm_contact contact
    SET name = coalesce(said.name, contact.name), role = coalesce(said.role, contact.role)
    FROM reported, jsonb_to_recordset(reported.contacts) AS said (email text, name text, role text)
    WHERE reported.changed AND contact.account_id = reported.account_id AND contact.email = said.email
    """,
    """
    INSERT INTO crm_contact (account_id, email, name, role, do_not_contact)
    SELECT account_id, said.email, coalesce(said.name, ''), coalesce(said.role, ''), false
    FROM reported, jsonb_to_recordset(reported.contacts) AS said (email text, name text, role text)
    WHERE created OR changed ORDER BY account_id
    ON CONFLICT (account_id, email) DO NOTHING
    """,
)
_LABELS = (
    """
    INSERT INTO crm_label (name)
    SELECT DISTINCT ON (lower(said)) said FROM reported, unnest(labels || more_labels) AS said
    WHERE created OR changed ORDER BY lower(said), said
    ON CONFLICT DO NOTHING
    """,
    """
    DELETE FROM crm_accountlabel worn USING reported, crm_label label
    WHERE reported.changed AND reported.labels IS NOT NULL AND worn.account_id = reported.account_id
      AND label.id = worn.label_id
      AND lower(label.name) NOT IN (SELECT lower(said) FROM unnest(labels || more_labels) AS said)
    """,
    """
    INSERT INTO crm_accountlabel (account_id, label_id)
    SELECT account_id, label.id FROM reported, unnest(labels || more_labels) AS said
    JOIN crm_label label ON lower(label.name) = lower(said)
    WHERE created OR changed ORDER BY account_id
    ON CONFLICT DO NOTHING
    """,
)

# Written only where it says something new, so that the same file twice changes nothing.
_THEIR_STAGE = """
    INSERT INTO crm_theirstage (account_id, stage, written, since, said_at)
    SELECT account_id, coalesce(stage, ''), stage_written, stage_since, %(now)s
    FROM reported WHERE stage_written IS NOT NULL ORDER BY account_id
    ON CONFLICT (account_id) DO UPDATE
    SET stage = excluded.stage, written = excluded.written, since = excluded.since, said_at = excluded.said_at
    WHERE (crm_theirstage.stage, crm_theirstage.written, crm_theirstage.since)
          IS DISTINCT FROM (excluded.stage, excluded.written, excluded.since)
"""

# What hangs on an account, by the names of a row that speak of it.
_ALSO: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (frozenset({"contacts"}), _CONTACTS),
    (frozenset({"labels", "more_labels"}), _LABELS),
    (frozenset({"stage_written"}), (_THEIR_STAGE,)),
)
# So many rows the database need not look at before it chooses its way.
FEW = 100

# Of all that a list would show, its first rows and how long it is.
_LISTED = "SELECT listed.*, count(*) OVER () FROM ({}) listed ORDER BY 1 LIMIT %(most)s"
_DIFFERING = """
    SELECT row, reported.external_id, account.name, stage_written, account.stage
    FROM reported JOIN crm_account account ON account.id = reported.account_id
    WHERE NOT created AND CASE WHEN reported.quarantine IS NULL THEN account.stage <> reported.stage
                               ELSE account.quarantine <> reported.quarantine END
"""
_QUARANTINED = """
    SELECT row, reported.external_id, coalesce(account.name, reported.name), reported.quarantine
    FROM reported LEFT JOIN crm_account account ON account.id = reported.account_id
    WHERE reported.quarantine IS NOT NULL AND coalesce(account.quarantine, reported.quarantine) = reported.quarantine
"""
_WITHOUT_LOGIN = """
    SELECT owner_reported, count(*) FROM reported WHERE owner_reported <> '' GROUP BY owner_reported
"""


class Listing(NamedTuple):
    """The first rows of a list, and how many there are."""

    rows: list[tuple[Any, ...]]
    total: int


@dataclass(frozen=True)
class Reported:
    """What a report did, or would do; ``new`` holds the id of each created account by its external id."""

    created: int
    updated: int
    unchanged: int
    new: Mapping[str, int]


class BadRows(Exception):
    """Rows that cannot be written, each with its problem. Nothing was changed."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{one.row}: {one.field} {one.sentence}" for one in problems[:10]))
        self.problems = problems


class Report:
    """Rows about accounts, held beside them in the database until they are written or forgotten.

    Lives in one transaction, one at a time. ``rows`` are numbers, by which a problem names its row, with clean
    fields (those of ``fields.FIELDS`` and ``IMPORTED``); a field left out says nothing. ``contacts`` are merged,
    ``labels`` replace. A file may also say ``owner`` (a user's id), ``owner_reported`` (a name without a login),
    ``more_labels`` (which replace nothing) and where the account stands: ``stage``, ``stage_since``,
    ``stage_written`` (the file's own words) and ``quarantine``. That counts for a new account alone.
    """

    def __init__(self, rows: Iterable[tuple[int, Mapping[str, Any]]]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(TABLE)
            named: set[str] = set()
            with cursor.copy(COPY) as copy:
                for number, row in rows:
                    named.update(row)
                    copy.write_row(copied(number, row))
            self._total = cursor.rowcount
            if self._total > FEW:
                cursor.execute("ANALYZE reported")
            cursor.execute(_FIND)
            self._all_known = cursor.rowcount == self._total
            if "contacts" in named:
                cursor.execute(_WITHOUT_ERASED)
        self._named = frozenset(named)
        self._sound = False

    def problems(self) -> list[Problem]:
        """What stands in the way of writing: ids used twice, accounts without a name, customers of two accounts."""
        found = self._problems()
        self._sound = not found
        return found

    def _problems(self) -> list[Problem]:
        with connection.cursor() as cursor:
            cursor.execute(_PROBLEMS)
            return [Problem(row, field, shown(value), says) for row, field, value, says in cursor.fetchall()]

    def differing(self, most: int) -> Listing:
        """Accounts here already whose stage is said to be another: (row, external id, name, said, here)."""
        return self._listing(_DIFFERING, most)

    def quarantined(self, most: int) -> Listing:
        """Accounts that a person must place, by what is said: (row, external id, name, said)."""
        return self._listing(_QUARANTINED, most)

    def without_login(self, most: int) -> Listing:
        """Owners who have no login here: (who, how many accounts)."""
        return self._listing(_WITHOUT_LOGIN, most)

    def _listing(self, rows: str, most: int) -> Listing:
        with connection.cursor() as cursor:
            cursor.execute(_LISTED.format(rows), {"most": most})
            found = cursor.fetchall()
        return Listing([row[:-1] for row in found], found[0][-1] if found else 0)

    def preview(self, *, without: Collection[int] = ()) -> Reported:
        """What writing would do now, leaving these rows out. Changes no account."""
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM reported WHERE row = ANY(%s)", [list(without)])
            cursor.execute(_MARK_CHANGED)
            updated = cursor.rowcount
            cursor.execute("SELECT count(*), count(*) FILTER (WHERE account_id IS NULL) FROM reported")
            total, created = cursor.fetchone()
        return Reported(created, updated, total - created - updated, {})

    def write(self, *, source: str, now: datetime, by: User | None = None, held_by: str = "") -> Reported:
        """Write all rows; new accounts are held by the import ``held_by`` names, if it does.

        Raises ``BadRows`` where ``problems`` has any, also those that came up only while others wrote.
        """
        values = {"source": source, "now": now, "by": by.pk if by else None, "held_by": held_by}
        if not self._sound and (found := self.problems()):
            raise BadRows(found)
        try:
            with transaction.atomic():
                written = self._write(values)
                self._place(by=by, now=now)
                return written
        except IntegrityError:
            if found := self.problems():
                raise BadRows(found) from None
            raise

    def _write(self, values: Mapping[str, Any]) -> Reported:
        with connection.cursor() as cursor:
            created: dict[str, int] = {}
            if not self._all_known:
                cursor.execute(_insert(), {**_defaults(), **values})
                created = dict(cursor.fetchall())
                cursor.execute(_FIND)
            cursor.execute(_LOCK)
            cursor.execute(_MARK_CHANGED)
            updated = cursor.rowcount
            cursor.execute(_UPDATE, values)
            for names, statements in _ALSO:
                for statement in statements if names & self._named else ():
                    cursor.execute(statement, values)
        return Reported(len(created), updated, self._total - len(created) - updated, created)

    def _place(self, *, by: User | None, now: datetime) -> None:
        """Put the accounts just created where the report says they stand."""
        if "stage" not in self._named:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT account_id, stage, stage_since FROM reported WHERE created AND stage <> ''"
            )
            places = {pk: (Stage(stage), since or now) for pk, stage, since in cursor.fetchall()}
        if places:
            Account.objects.all().first_load(places, by=by, now=now)


def report_accounts(
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    *,
    source: str,
    now: datetime,
    by: User | None = None,
) -> Reported:
    """Write what another system says about accounts, all rows or none. Raises ``BadRows``."""
    with transaction.atomic():
        return Report(rows).write(source=source, now=now, by=by)


def _defaults() -> dict[str, Any]:
    """What a new account has where nothing is said, by column."""
    return {
        str(field.column): field.get_default()
        for field in Account._meta.concrete_fields
        if not field.generated and not field.primary_key
    }


def _insert() -> str:
    """Insert what is not here, in one order for all who do; another's insert meanwhile is found afterwards."""
    said = {
        "external_id": "external_id",
        **{column: f"coalesce({column}, %({column})s::{kind})" for column, kind in COLUMNS.items()},
        "quarantine": "coalesce(quarantine, '')",
        "held_by": "%(held_by)s",
        "reported_by": "%(source)s",
        "reported_at": "%(now)s",
        "created_at": "%(now)s",
        "changed_at": "%(now)s",
        "payment_risk_at": "CASE WHEN payment_risk <> '' THEN %(now)s::timestamptz END",
        "payment_risk_by_id": "CASE WHEN payment_risk <> '' THEN %(by)s::bigint END",
    }
    columns = {column: said.get(column, f"%({column})s") for column in _defaults()}
    return f"""
        WITH made AS (
            INSERT INTO crm_account ({", ".join(columns)}) SELECT {", ".join(columns.values())}
            FROM reported WHERE account_id IS NULL ORDER BY external_id
            ON CONFLICT (external_id) DO NOTHING RETURNING external_id, id
        )
        UPDATE reported SET account_id = made.id, created = true
        FROM made WHERE made.external_id = reported.external_id RETURNING made.external_id, made.id
    """
