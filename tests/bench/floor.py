"""The floor: the plainest way to the same facts. SQL through psycopg, f-strings, and no framework at all.

It loads the session and the user as ours does, checks nothing, and knows just the questions of the benchmark.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import zlib
from collections.abc import Callable, Iterable
from datetime import date
from html import escape
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import psycopg

OPEN = (
    *("new", "initiated", "engaged_email", "call_booked", "intro_call_completed", "second_call_completed"),
    *("homework_offered", "awaiting_final_outreach", "paid_call_purchased"),
)
CLOSED = ("onboarded_no_engagement", "onboarded_engaged", "sales_handoff", "churned")
ANY_OPEN = f"stage IN ({', '.join(repr(stage) for stage in OPEN)})"

_here = threading.local()


def sql(statement: str, *values: Any) -> list[Any]:
    if not hasattr(_here, "connection"):
        _here.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return _here.connection.execute(statement, values or None).fetchall()


def signed_in(cookie: str) -> int:
    """The id of the person whose session it is; reads the session and the person with their roles."""
    key = cookie.partition("sessionid=")[2].partition(";")[0]
    [(data,)] = sql(
        "SELECT session_data FROM django_session WHERE session_key = %s AND expire_date > now()", key
    )
    text = data.partition(":")[0]
    packed = base64.urlsafe_b64decode(text.lstrip(".") + "===")
    session = json.loads(zlib.decompress(packed) if text.startswith(".") else packed)
    [person] = sql(
        "SELECT crm_user.*, ARRAY(SELECT name FROM auth_group JOIN crm_user_groups held ON held.group_id ="
        " auth_group.id WHERE held.user_id = crm_user.id) FROM crm_user WHERE id = %s AND is_active",
        session["_auth_user_id"],
    )
    return int(person[0])


COLUMNS = """
    id, name, stage, stage_since, renewal_on, forecast, owner_id, owner_reported, last_outreach_at, next_task_on,
    notes_count, users_count, open_alerts, payment_risk, sales_contact_kind,
    ARRAY(SELECT label.name FROM crm_accountlabel worn JOIN crm_label label ON label.id = worn.label_id
          WHERE worn.account_id = crm_account.id ORDER BY 1),
    (SELECT min(starts_at) FROM crm_call
     WHERE account_id = crm_account.id AND status = 'booked' AND starts_at >= current_date)
"""
PILES = f"""
    SELECT count(*) FILTER (WHERE stage = 'new'),
           count(*) FILTER (WHERE stage = 'new' AND (entered_at < current_date - 6 OR renewal_on <= current_date + 14)),
           count(*) FILTER (WHERE stage = 'awaiting_final_outreach'),
           count(*) FILTER (WHERE last_reply_at IS NOT NULL
                            AND (last_outreach_at IS NULL OR last_reply_at > last_outreach_at)),
           count(*) FILTER (WHERE next_task_on <= current_date), count(*) FILTER (WHERE open_alerts > 0),
           count(*) FILTER (WHERE owner_id = %s)
    FROM crm_account WHERE {ANY_OPEN} AND (snoozed_until IS NULL OR snoozed_until <= current_date)
"""
# What each list narrows by and in which order it stands; the values come with the address.
LISTS = {
    "first": (ANY_OPEN, "renewal_on, id"),
    "filtered": (
        "stage = 'initiated' AND renewal_on > current_date + 30",
        "renewal_on, id",
    ),
    "sorted": (ANY_OPEN, "forecast DESC NULLS LAST, id DESC"),
    "deep": (f"{ANY_OPEN} AND (renewal_on, id) > (%s, %s)", "renewal_on, id"),
    "all": ("(renewal_on, id) > (%s, %s)", "renewal_on, id"),
    "search": ("upper(name) LIKE %s", "renewal_on, id"),
}


def row_html(row: Any, names: dict[int, str], today: date) -> str:
    (
        pk,
        name,
        stage,
        since,
        renews,
        forecast,
        owner,
        reported,
        wrote,
        task,
        notes,
        users,
        alerts,
        risk,
        contact,
    ) = row[:15]
    labels, call = row[15:]
    return (
        f'<tr id="a{pk}" class="{stage}"><th><a href="/accounts/{pk}/">{escape(name)}</a>'
        f"{'<i>Alert</i>' if alerts else ''}{f'<i>{risk}</i>' if risk else ''}{f'<i>{contact}</i>' if contact else ''}"
        f"{f'<i>Call {call:%d %b}</i>' if call else ''}</th>"
        f"<td>{f'{renews:%d %b} {(renews - today).days} d' if renews else ''}</td>"
        f"<td>{stage} {(today - since.date()).days if since else ''} d</td>"
        f"<td>{f'${forecast:,.0f}' if forecast is not None else ''}</td>"
        f"<td>{escape(names.get(owner, reported))}</td><td>{f'{wrote:%d %b}' if wrote else ''}</td>"
        f"<td>{f'{task:%d %b}' if task else ''}</td><td>{notes or ''}</td><td>{users or ''}</td>"
        f"<td>{escape(', '.join(labels))}</td></tr>"
    )


def page(title: str, body: Iterable[str]) -> str:
    return f"<!doctype html><title>{title}</title><main>{''.join(body)}</main>"


def names_of() -> dict[int, str]:
    return {
        pk: f"{first} {last}" for pk, first, last in sql("SELECT id, first_name, last_name FROM crm_user")
    }


def listed(user: int, asked: dict[str, str]) -> str:
    where, order = LISTS[asked["list"]]
    values = [asked[name] for name in ("renewal", "after", "like") if name in asked]
    names, today = names_of(), date.today()  # noqa: DTZ011
    rows = sql(f"SELECT {COLUMNS} FROM crm_account WHERE {where} ORDER BY {order} LIMIT 51", *values)
    [piles] = sql(PILES, user)
    [(count,)] = sql(
        f"SELECT count(*) FROM (SELECT FROM crm_account WHERE {where} LIMIT 10001) counted", *values
    )
    options = [f"<option>{escape(name)}" for (name,) in sql("SELECT name FROM crm_label ORDER BY name")]
    options += [f'<option value="{pk}">{escape(name)}' for pk, name in names.items()]
    head = f"<p>{count} accounts</p>{''.join(f'<b>{pile}</b>' for pile in piles)}{''.join(options)}"
    return page("Daily", [head, "<table>", *(row_html(row, names, today) for row in rows[:50]), "</table>"])


CARDS = """
    SELECT card.* FROM (VALUES {}) AS lane (stage) CROSS JOIN LATERAL (
        SELECT id, stage, version, name, renewal_on, stage_since, forecast, owner_id, open_alerts, next_task_on,
               sales_contact_kind,
               (SELECT min(starts_at) FROM crm_call
                WHERE account_id = crm_account.id AND status = 'booked' AND starts_at >= current_date)
        FROM crm_account WHERE stage = lane.stage ORDER BY renewal_on, id LIMIT 26) card
"""
SUMS = "SELECT stage, count(*), sum(forecast) FROM crm_account WHERE stage IN ({}) GROUP BY stage"
CAPPED = ", ".join(
    f"(SELECT count(*) FROM (SELECT FROM crm_account WHERE stage = '{stage}' LIMIT 10001) counted)"
    for stage in CLOSED
)


def card_html(card: Any, names: dict[int, str], today: date) -> str:
    pk, _stage, version, name, renews, since, forecast, owner, alerts, task, contact, call = card
    return (
        f'<li id="account-{pk}" data-version="{version}" data-renews="{renews or ""}">'
        f'<a href="/accounts/{pk}/">{escape(name)}</a>'
        f"<p>{f'{renews:%d %b} {(renews - today).days} d' if renews else 'No renewal'}"
        f"<b>{f'${forecast:,.0f}' if forecast is not None else ''}</b></p>"
        f"<p>{(today - since.date()).days} d<i>{escape(names.get(owner, ''))}</i></p>"
        f"{'<i>Alert</i>' if alerts else ''}{'<i>Task overdue</i>' if task and task < today else ''}"
        f"{f'<i>Call {call:%d %b}</i>' if call else ''}{f'<i>{contact}</i>' if contact else ''}</li>"
    )


def lanes(stages: Iterable[str]) -> str:
    names, today = names_of(), date.today()  # noqa: DTZ011
    quoted = ", ".join(f"'{stage}'" for stage in stages)
    cards: dict[str, list[str]] = {stage: [] for stage in stages}
    for card in sql(CARDS.format(", ".join(f"('{stage}')" for stage in stages))):
        cards[card[1]].append(card_html(card, names, today))
    held = {stage: (count, forecast) for stage, count, forecast in sql(SUMS.format(quoted))}
    return "".join(
        f"<section id={stage}><h2>{stage}</h2>{held.get(stage, '')}<ol>{''.join(items[:25])}</ol></section>"
        for stage, items in cards.items()
    )


def board(user: int, asked: dict[str, str]) -> str:
    closed = zip(CLOSED, sql(f"SELECT {CAPPED}")[0], strict=True)
    return page(
        "Board", [lanes(OPEN), *(f"<section><h2>{stage}</h2>{count}</section>" for stage, count in closed)]
    )


MOVE = """
    WITH here AS (
        SELECT id, version, stage, stage_since FROM crm_account
        WHERE id = %s AND version = %s AND stage IN ('engaged_email', 'call_booked') FOR NO KEY UPDATE
    ), ledger AS (
        INSERT INTO crm_stagetransition
            (account_id, version, from_stage, to_stage, at, by_id, cause, reason, before)
        SELECT id, version + 1, stage, %s, now(), %s, 'list', '', jsonb_build_object('stage_since', stage_since)
        FROM here RETURNING account_id, version, to_stage, at
    )
    UPDATE crm_account SET stage = ledger.to_stage, version = ledger.version, stage_since = ledger.at
    FROM ledger WHERE crm_account.id = ledger.account_id
    RETURNING
"""


def move(user: int, asked: dict[str, str]) -> str:
    """One statement that locks, compares, logs and moves, and answers with the row."""
    moved = sql(
        MOVE + COLUMNS.replace(" id,", " crm_account.id,", 1),
        asked["pk"],
        asked["version"],
        asked["to"],
        user,
    )
    return row_html(moved[0], {}, date.today())  # noqa: DTZ011


def move_card(user: int, asked: dict[str, str]) -> str:
    """The same, answered with the two lanes it touched."""
    sql(MOVE + " crm_account.id", asked["pk"], asked["version"], asked["to"], user)
    return lanes(["engaged_email", "call_booked"])


def keep_event(body: bytes, asked: dict[str, str]) -> str:
    """One row, whoever sent it."""
    sql(
        "INSERT INTO intake_event (provider, external_id, type, body, received_at, due_at, state)"
        " VALUES ('floor', %s, 'conversation.inbound', %s, now(), now(), 'waiting') RETURNING id",
        asked["name"],
        body,
    )
    return '{"kept": true}'


REPORTED = "external_id, name, domain, plan, mrr, forecast, next_renewal_on, users_count"
UPSERT = f"""
    INSERT INTO crm_account ({REPORTED}, created_at, changed_at)
    SELECT {REPORTED}, now(), now() FROM jsonb_to_recordset(%s::jsonb) AS given
        (external_id text, name text, domain text, plan text, mrr numeric, forecast numeric, next_renewal_on date,
         users_count int)
    ON CONFLICT (external_id) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in REPORTED.split(", ")[1:])}
    RETURNING id
"""


def keep_accounts(body: bytes, asked: dict[str, str]) -> str:
    """All of them by one statement, checked by nobody but the columns."""
    return json.dumps({"kept": len(sql(UPSERT, json.dumps(json.loads(body)["accounts"])))})


# Answered to programs, who sign in by nothing here.
TAKEN: dict[str, Callable[[bytes, dict[str, str]], str]] = {
    "/event": keep_event,
    "/accounts": keep_accounts,
}

ANSWERS: dict[str, Callable[[int, dict[str, str]], str]] = {
    "/list": listed,
    "/board": board,
    "/move": move,
    "/move-card": move_card,
}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    asked = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if taken := TAKEN.get(environ["PATH_INFO"]):
        html = taken(body, asked).encode()
    else:
        asked |= dict(parse_qsl(body.decode()))
        html = ANSWERS[environ["PATH_INFO"]](signed_in(environ["HTTP_COOKIE"]), asked).encode()
    start_response(
        "200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(html)))]
    )
    return [html]
