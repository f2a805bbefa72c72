"""Sessions in the database, as Django keeps them, found by a question that is written once."""

from typing import Any

from django.contrib.sessions.backends import db
from django.db import models
from django.utils import timezone

from apps.crm.kept import Given, Kept


def _standing() -> Any:
    return db.SessionStore.get_model_class().objects.filter(
        session_key=Given("key", models.CharField()), expire_date__gt=Given("now", models.DateTimeField())
    )


_FOUND = Kept(lambda: _standing().values_list("session_data"))


class SessionStore(db.SessionStore):
    def load(self) -> dict[str, Any]:
        for (data,) in _FOUND.rows(key=self.session_key, now=timezone.now()):
            found: dict[str, Any] = self.decode(data)
            return found
        self._session_key = None
        return {}
