from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from functools import cached_property
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.models import AbstractUser, Group, UserManager
from django.contrib.postgres.aggregates import ArrayAgg
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models, transaction
from django.db.models import Q

from apps.crm.days import moment

VIEWER, SPECIALIST, REVENUE, LEAD, ADMIN = ROLES = ("viewer", "specialist", "revenue", "lead", "admin")

LAST_ADMIN = "Nobody else is an admin: make somebody one first."

_WORKS = {SPECIALIST, LEAD, ADMIN}
_LEADS = {LEAD, ADMIN}

# What each role is, for whoever gives it to a colleague.
ROLES_SAID = {
    VIEWER: "reads every page",
    SPECIALIST: "works with accounts; mail from them counts as an outreach",
    REVENUE: "reads, sets payment risk and exports revenue",
    LEAD: "works with accounts, and changes policy, playbooks, templates and tokens",
    ADMIN: "all of that, and the team itself",
}

# What each role may do. Pages, API and admin ask ``User.may`` and know no role by name.
RIGHTS: dict[str, set[str]] = {
    "read": {VIEWER, SPECIALIST, REVENUE, LEAD, ADMIN},
    "move": _WORKS,
    "note": _WORKS,
    "task": _WORKS,
    "alert": _WORKS,
    "alerts of nobody": _LEADS,
    "call": _WORKS,
    "edit": _WORKS,
    "write": _WORKS,
    "event": _WORKS,
    "preview import": _WORKS,
    "payment risk": _WORKS | {REVENUE},
    "export revenue": {REVENUE, LEAD, ADMIN},
    "export people": _LEADS,
    "import": _LEADS,
    "outbox": _LEADS,
    "weekly mail": _LEADS,
    "policy": _LEADS,
    "playbooks": _LEADS,
    "shared views": _LEADS,
    "templates": _LEADS,
    "labels": _LEADS,
    "tokens": _LEADS,
    "erase": _LEADS,
    "users": {ADMIN},
    "admin": {ADMIN},
}


def validate_time_zone(name: str) -> None:
    """Refuse what is no time zone of the IANA list."""
    if name not in available_timezones():
        raise ValidationError(f"{name!r} is not a time zone, such as Europe/Berlin.")


class UserQuerySet(models.QuerySet["User"]):
    def with_roles(self) -> UserQuerySet:
        """Users with their roles loaded in the same query."""
        return self.annotate(role_names=ArrayAgg("groups__name", filter=Q(groups__isnull=False), default=[]))

    def holding(self, *roles: str) -> UserQuerySet:
        """Active users in any of these roles."""
        return self.filter(is_active=True, groups__name__in=roles).distinct()

    def sender_group(self) -> UserQuerySet:
        """The people whose mail counts as an outreach: the specialists."""
        return self.holding(SPECIALIST)

    def with_addresses(self, addresses: Iterable[str]) -> set[str]:
        """Those of these addresses, in lower case, that are a colleague's, also of one who left."""
        known = self.annotate(address=models.functions.Lower("email"))
        return set(known.filter(address__in=[*addresses]).values_list("address", flat=True))

    def names(self) -> dict[int, str]:
        """Id to the name shown, in the order of the names."""
        rows = self.order_by("first_name", "last_name", "username")
        named = rows.values_list("pk", "first_name", "last_name", "username")
        return {pk: f"{first} {last}".strip() or username for pk, first, last, username in named}

    def to_mention(self) -> list[dict[str, str]]:
        """Login and name of everybody a note may mention, in the order of the names."""
        people = self.filter(is_active=True).order_by("first_name", "last_name", "username")
        return [{"login": person.username, "name": str(person)} for person in people]

    def called(self, names: Iterable[str]) -> list[int]:
        """The ids of the active people with one of these logins or first names, in small letters.

        A first name that two of them have, or that is somebody's login, means nobody.
        """
        people = list(self.filter(is_active=True).values_list("pk", "username", "first_name"))
        logins = {username.lower(): pk for pk, username, _ in people}
        firsts = Counter(first.lower() for _, _, first in people)
        by_first = {first.lower(): pk for pk, _, first in people if firsts[first.lower()] == 1}
        called = {name: pk for name, pk in (by_first | logins).items() if name}
        return sorted({called[name] for name in names if name in called})

    def assignable(self) -> UserQuerySet:
        """The people an account, a task or an alert can be given to."""
        return self.holding(*_WORKS).order_by("first_name", "username")


class UserManagerWithRoles(UserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    pass


class User(AbstractUser):
    """A colleague. Deactivated when they leave, never deleted: the history names them.

    Rows that name a person use ``DO_NOTHING``: the database's own foreign key refuses the deletion.
    """

    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    hours = models.CharField(
        "working hours", max_length=80, blank=True, help_text="When they work, in words; colleagues see it."
    )
    single_keys = models.BooleanField(
        "shortcuts of a single key", default=True, help_text="Off, a letter typed by mistake does nothing."
    )
    looked_at = models.DateTimeField(
        null=True, blank=True, help_text="When this person last finished a pass over the daily list."
    )
    digest = models.BooleanField(
        "morning mail", default=True, help_text="A mail on working mornings with what awaits this person."
    )
    digest_hour = models.PositiveSmallIntegerField(
        "hour of the morning mail",
        null=True,
        blank=True,
        validators=[MaxValueValidator(23)],
        help_text="By their own clock, 0 to 23; empty: the policy's hour.",
    )
    digested_on = models.DateField(
        null=True, blank=True, editable=False, help_text="Their last day whose morning mail is dealt with."
    )
    opens_with = models.ForeignKey(
        "crm.SavedView",
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="The view that the daily list opens with.",
    )
    weekly_on = models.DateField(
        null=True,
        blank=True,
        editable=False,
        help_text="Their last day whose mail of the week is dealt with.",
    )
    mention_mail = models.BooleanField(
        "mail about mentions", default=True, help_text="A mail when notes mention this person."
    )

    objects: ClassVar[Any] = UserManagerWithRoles()

    class Meta(AbstractUser.Meta):
        constraints = [
            models.UniqueConstraint(
                models.functions.Lower("email"), name="user_email_once", condition=~Q(email="")
            ),
        ]

    def __str__(self) -> str:
        return self.get_full_name() or self.username

    @cached_property
    def roles(self) -> frozenset[str]:
        """The roles of this person; a superuser is an admin."""
        named: Iterable[str] = self.__dict__.get("role_names") or (
            () if "role_names" in self.__dict__ else self.groups.values_list("name", flat=True)
        )
        return frozenset(named) | (frozenset({ADMIN}) if self.is_superuser else frozenset())

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def today(self, now: datetime) -> date:
        """This person's day of a moment: what the days of tasks are held against."""
        return now.astimezone(self.zone).date()

    def moment(self, when: datetime | None, now: datetime) -> str:
        """A moment on this person's clock, as "21 Nov, 09:00"; empty for none."""
        return moment(when, self.today(now), self.zone)

    def want(self, *, digest: bool, digest_hour: int | None, mention_mail: bool, now: datetime) -> None:
        """Set which mail this person wants. A morning mail that is turned on comes from the next morning on."""
        if digest and not self.digest:
            self.digested_on = self.today(now)
        self.digest, self.digest_hour, self.mention_mail = digest, digest_hour, mention_mail
        self.save(update_fields=["digest", "digest_hour", "mention_mail", "digested_on"])

    @property
    def looked_from(self) -> datetime:
        """Since when accounts are new to this person: their last finished pass over the list, or their first day."""
        return self.looked_at or self.date_joined

    def look(self, until: datetime) -> None:
        """Finish a pass over the list as it stood at ``until``; never goes back."""
        never = models.Value(self.date_joined)
        User.objects.filter(pk=self.pk).update(
            looked_at=models.functions.Greatest(models.functions.Coalesce("looked_at", never), until)
        )

    def employ(self, roles: Iterable[str], *, active: bool = True) -> None:
        """Give this person just these roles, and let them in or not; saves the other facts set before too.

        Raises ``ValidationError``, with nothing changed, where nobody would be left who may change the team.
        """
        roles = frozenset(roles)
        with transaction.atomic():
            # Two admins who demote each other take their turn here, and the second is refused.
            list(Group.objects.select_for_update().filter(name=ADMIN))
            if not (active and ADMIN in roles) and self.is_last_admin():
                raise ValidationError(LAST_ADMIN)
            self.is_active = active
            self.is_superuser = self.is_superuser and ADMIN in roles
            self.save()
            self.groups.set([Group.objects.get_or_create(name=name)[0] for name in sorted(roles)])
        self.__dict__.pop("roles", None)
        self.__dict__.pop("role_names", None)

    def is_last_admin(self) -> bool:
        """Whether this person, and no other, may change the team."""
        admins = User.objects.filter(Q(groups__name=ADMIN) | Q(is_superuser=True), is_active=True).distinct()
        return self.pk is not None and {*admins.values_list("pk", flat=True)} == {self.pk}

    def may(self, right: str) -> bool:
        """Whether this person may do what ``right`` names. The only question ever asked about roles."""
        return self.is_active and not self.roles.isdisjoint(RIGHTS[right])

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """What Django's admin asks: whoever may use it may do there whatever it offers."""
        return self.may("admin")

    def has_module_perms(self, app_label: str) -> bool:
        return self.may("admin")

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        raise models.ProtectedError("Deactivate people instead of deleting them.", {self})
