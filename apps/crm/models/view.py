from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Lower
from django.http import QueryDict

from apps.crm.models.user import User

# What says which place in a page, or which way to look at a board, and so belongs to no view.
PASSING = ("cursor", "after", "row")
OF_PAGES = ("view", "by", "as_of", "since", *PASSING)


class NotKept(Exception):
    """A view that was not saved as asked; ``sentence`` says why. Nothing was changed."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def standing(self) -> SavedViewQuerySet:
        return self.filter(deleted_at__isnull=True)

    def of(self, user: int | Combinable) -> SavedViewQuerySet:
        """Those the person of this id can open, by name: their own, and what others share."""
        mine_or_shared = self.standing().filter(Q(owner=user) | Q(shared=True))
        return mine_or_shared.order_by(Lower("name"), "pk")


class SavedView(models.Model):
    """Filters, order and columns of list and board, kept under a name.

    Others lay their own filters and columns over a shared one; it stays as it is until somebody who may changes it.
    """

    name = models.CharField(max_length=80)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, related_name="views")
    query = models.TextField(
        blank=True, help_text="The query string it stands for, order and columns included."
    )
    shared = models.BooleanField(default=False)
    protected = models.BooleanField(
        default=False, help_text="Only a lead changes or deletes it, its owner included."
    )
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects: ClassVar[Any] = SavedViewQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                "owner", Lower("name"), name="view_name_once_a_person", condition=Q(deleted_at=None)
            ),
        ]
        indexes = [
            models.Index(fields=["shared"], name="view_shared", condition=Q(shared=True, deleted_at=None)),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def keep(cls, name: str, query: str, *, by: User, now: datetime, shared: bool = False) -> Self:
        """Save a view of one's own; raises ``NotKept`` where one of that name is there already."""
        made = cls(name=name, query=query, owner=by, shared=shared, created_at=now, changed_at=now)
        with _named_once(name):
            made.save()
        return made

    @property
    def names(self) -> list[str]:
        """The parameters it sets."""
        return [*QueryDict(self.query)]

    def may_be_changed_by(self, user: User) -> bool:
        """Whether this person may change it for everybody."""
        leads = user.may("shared views")
        if self.protected:
            return leads
        return self.owner_id == user.pk or (self.shared and leads)

    def change(self, *, seen: datetime, now: datetime, **values: Any) -> None:
        """Change it for everybody; raises ``NotKept`` when it is no longer as somebody had ``seen`` it."""
        mine = SavedView.objects.standing().filter(pk=self.pk, changed_at=seen)
        with _named_once(values.get("name", self.name)):
            if not mine.update(**values, changed_at=now):
                raise NotKept(f"Somebody else changed the view “{self.name}” meanwhile. Look at it first.")
        self.refresh_from_db()

    def restore(self, *, now: datetime) -> None:
        """Take its deletion back."""
        with _named_once(self.name):
            SavedView.objects.filter(pk=self.pk).update(deleted_at=None, changed_at=now)
        self.refresh_from_db()


@contextmanager
def _named_once(name: str) -> Iterator[None]:
    """Write in here; raises ``NotKept`` where the person has a view of this name already."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise NotKept(f"There is a view “{name}” already; give it another name.") from error
