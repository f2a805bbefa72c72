"""Who a session belongs to."""

from allauth.account.auth_backends import AuthenticationBackend

from apps.crm.models import User
from apps.crm.people import signed_in


class Backend(AuthenticationBackend):
    """allauth's log in by login name or e-mail; a request's user comes with their roles in one query."""

    def get_user(self, user_id: int) -> User | None:
        """The active user of a session, or None."""
        return signed_in(user_id)
