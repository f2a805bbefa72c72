"""Erasure on request: of a person, or of an account with all that hangs on it.

What names them is looked for in every column of words of every table of ours, so that a table added tomorrow is
searched too. All of it happens in one transaction, or none.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Any
from urllib.parse import quote

from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.db import connection, models, transaction
from django.db.models import F, Func, Q, UniqueConstraint, Value

from apps.crm.models import (
    Account,
    Contact,
    Credit,
    Erasure,
    Label,
    OutLink,
    SavedView,
    StageTransition,
    User,
)
from apps.intake.events import Event
from apps.intake.imports import Import
from apps.intake.tokens import ApiToken, IdempotentAnswer
from apps.outbox.models import Gate, Message
from apps.playbooks.models import Run

MARK = "[erased]"
# What is shorter says nothing by itself, and would be found in other words everywhere.
SHORTEST = 4

_SEARCHED = {"crm", "outbox", "playbooks", "intake", "admin"}
# Colleagues, what they call their tokens, and the addresses every account's links share are not the customer's.
_OURS = {User, ApiToken, Erasure, OutLink}
# What a program wrote about several accounts at once, or about one that is named only in words.
_BY_PROGRAMS = (Message, Gate, Run, Event, Import, IdempotentAnswer, LogEntry)
# What the database lets be blanked and nothing else; the rest of the ledgers holds no words of people.
_BLANKED = {(StageTransition, "reason"), (Credit, "why")}
_LEFT = {(StageTransition, "before"), (StageTransition, "cause"), (Credit, "currency")}
# Two rows may not be called the same, be it by nothing but the mark.
_APART = {(Label, "name"), (SavedView, "name")}
# What an account is called stays when one of its people goes: it is the customer's own name.
_NAMES = {(Account, "name"), (Account, "domain"), (Account, "external_id")}

Gone = Counter[str]


class NotErased(Exception):
    """Nothing was erased; ``sentence`` says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def erase_person(email: str, *, by: User, now: datetime) -> Gone:
    """Take a person out of everything, by their address; returns how many rows of what were changed or deleted.

    Where they are named in full, the name goes, too, but in rows of accounts they are not at; their first name alone
    may be anybody's. Raises ``NotErased``.
    """
    if User.objects.filter(email__iexact=email).exists():
        raise NotErased("This is a colleague’s address; colleagues are deactivated, not erased.")
    with transaction.atomic():
        _wait_for_imports()
        theirs = Contact.objects.filter(email=email)
        accounts = sorted(theirs.values_list("account", flat=True))
        list(Account.objects.select_for_update(no_key=True).filter(pk__in=accounts).order_by("pk"))
        names = {name for name in theirs.values_list("name", flat=True) if " " in name.strip()}
        gone = Gone({"contacts": theirs.delete()[0]})
        gone["messages"] += Message.objects.filter(to=email).delete()[0]
        gone += _blank(Q(account__in=accounts), _address(email), now)
        near = _any([_address(email), _words(names)])
        gone += _sweep(_address(email), _models(), near=near, of=accounts)
        Erasure.objects.note(Erasure.Kind.PERSON, email, by=by, now=now)
    return gone


def erase_account(account: Account, *, by: User, now: datetime) -> Gone:
    """Delete an account with all that hangs on it, and what names it or its people elsewhere; returns what went.

    What colleagues wrote about other accounts stays as it is, but for the addresses of its people. Raises
    ``NotErased``.
    """
    with transaction.atomic():
        _wait_for_imports()
        account.lock()
        account.refresh_from_db()
        gone = Gone({"accounts": 1})
        for relation in account._meta.related_objects:
            if relation.related_model is not Event:
                rows = relation.related_model._default_manager.filter(**{relation.field.name: account})
                gone[_called(relation.related_model)] += rows.count()
        people, names = _people_only_here(account), _names_only_here(account)
        gone += _blank(Q(account=account), _any([*map(_address, people), _words(names)]), now)
        external_id = account.external_id
        Account.objects.filter(pk=account.pk).delete()
        if people:
            gone += _sweep(_any(map(_address, people)), _models())
        if names:
            gone += _sweep(_words(names), _BY_PROGRAMS)
        Erasure.objects.note(Erasure.Kind.ACCOUNT, external_id, by=by, now=now)
    return gone


def rehearse(erase: Callable[[], Gone]) -> Gone:
    """What an erasure would do now. Does it, and takes it back."""
    with transaction.atomic():
        gone = erase()
        transaction.set_rollback(True)
    return gone


def _wait_for_imports() -> None:
    if Import.objects.waiting().exists():
        raise NotErased("An import is at work and may name them: erase when it is done.")


def _people_only_here(account: Account) -> list[str]:
    """The addresses of people who are at no other account, and are no colleagues."""
    mine = account.contacts.values("email")
    elsewhere = Contact.objects.exclude(account=account).filter(email__in=mine).values("email")
    colleagues = User.objects.exclude(email="").values(lower=models.functions.Lower("email"))
    found = account.contacts.exclude(email__in=elsewhere).exclude(email__in=colleagues)
    return list(found.values_list("email", flat=True))


def _names_only_here(account: Account) -> set[str]:
    """What this account alone is known by, as far as it is long enough to be searched for."""
    others = Account.objects.exclude(pk=account.pk)
    known = {name: getattr(account, name) for name in ("external_id", "stripe_customer_id", "domain", "name")}
    return {
        value
        for name, value in known.items()
        if value and len(value) >= SHORTEST and not others.filter(**{name: value}).exists()
    }


def _address(email: str) -> str:
    """A pattern for this address and no longer one, also as an address of the web writes it."""
    ways = "|".join({re.escape(email), re.escape(quote(email, safe=""))})
    return rf"(?<![[:alnum:]._%+-])({ways})(?![[:alnum:]-]|\.[[:alnum:]])"


def _any(patterns: Iterable[str]) -> str:
    """A pattern for any of these; for none, one that nothing is."""
    return "|".join(filter(None, patterns)) or r"(?!)"


def _words(names: Iterable[str]) -> str:
    """A pattern for any of these as whole words, also as JSON writes it; empty for none."""
    ways = {re.escape(way) for name in names for way in (name, json.dumps(name, ensure_ascii=False)[1:-1])}
    longest_first = "|".join(sorted(ways, key=len, reverse=True))
    return rf"(?<![[:alnum:]])({longest_first})(?![[:alnum:]])" if ways else ""


def _blank(theirs: Q, pattern: str, now: datetime) -> Gone:
    """Blank the raw bodies of events that are theirs or match, and the files of imports that match."""
    matching = {"written__iregex": pattern}
    bodies = Event.objects.exclude(body=b"").alias(written=_raw("body"))
    events = Event.objects.filter(
        pk__in=[*bodies.filter(theirs | Q(**matching)).values_list("pk", flat=True)]
    )
    events.exclude(state=Event.State.DONE).update(
        state=Event.State.IGNORED, sentence="Erased.", subject="", due_at=None, done_at=now
    )
    files = Import.objects.exclude(file=b"").alias(written=_raw("file")).filter(**matching)
    imports = Import.objects.filter(pk__in=[*files.values_list("pk", flat=True)])
    gone = Gone({"raw events": events.update(body=b""), "files of imports": imports.count()})
    # A preview without its file is none.
    imports.filter(state=Import.State.PREVIEWED).delete()
    imports.update(file=b"")
    return gone


def _raw(column: str) -> Func:
    """Bytes as text that can be searched, whatever they are."""
    return Func(F(column), Value("escape"), function="encode", output_field=models.TextField())


def _models() -> list[type[models.Model]]:
    return [model for model in apps.get_models() if model._meta.app_label in _SEARCHED and model not in _OURS]


def _called(model: type[models.Model]) -> str:
    return str(model._meta.verbose_name_plural)


def _sweep(
    pattern: str, among: Iterable[type[models.Model]], *, near: str = "", of: Collection[int] = ()
) -> Gone:
    """Put the mark over what matches in these tables; returns how many rows of each did.

    In rows of the accounts ``of``, and in rows of none, ``near`` is what counts.
    """
    gone = Gone()
    for model in among:
        account = "id" if model is Account else _account_column(model)
        whose = f'("{account}" = ANY(%(of)s) OR "{account}" IS NULL)' if account else "true"
        # What is put into the text are names of our own columns; the patterns stand beside it.
        wide = f"CASE WHEN {whose} THEN %(near)s ELSE %(pattern)s END"
        fields = {
            field: "%(pattern)s" if (model, field.name) in _NAMES else wide for field in _words_of(model)
        }
        if not fields:
            continue
        writes = ", ".join(
            f'"{field.column}" = {_marked(model, field, found)}' for field, found in fields.items()
        )
        found = " OR ".join(f'"{field.column}"::text ~* ({found})' for field, found in fields.items())
        with connection.cursor() as cursor:
            cursor.execute(
                f'UPDATE "{model._meta.db_table}" SET {writes} WHERE {found}',  # nosec B608
                {"pattern": pattern, "near": near or pattern, "of": list(of), "mark": MARK},
            )
            gone[_called(model)] += cursor.rowcount
    return +gone


def _words_of(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    return [
        field
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField | models.TextField | models.JSONField)
        and not field.choices
        and (model, field.name) not in _LEFT
    ]


def _account_column(model: type[models.Model]) -> str:
    to_account = (field for field in model._meta.concrete_fields if field.related_model is Account)
    return next((str(field.column) for field in to_account), "")


def _marked(model: type[models.Model], field: models.Field[Any, Any], pattern: str) -> str:
    """A column as it is to be in a row that matches, in SQL."""
    column = f'"{field.column}"'
    if isinstance(field, models.EmailField) or (model, field.name) in _BLANKED:
        return f"CASE WHEN {column} ~* ({pattern}) THEN '' ELSE {column} END"
    apart = (model, field.name) in _APART or field.unique
    apart |= any(
        field.name in rule.fields for rule in model._meta.constraints if isinstance(rule, UniqueConstraint)
    )
    mark = f"%(mark)s || {model._meta.pk.column}" if apart else "%(mark)s"
    kind = "::jsonb" if isinstance(field, models.JSONField) else ""
    return f"regexp_replace({column}::text, {pattern}, {mark}, 'gi'){kind}"
