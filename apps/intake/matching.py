"""Whose account it is about: the customer's id, then a contact's address, then the domain. Never a guess."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import connection

from apps.crm.models import Account
from apps.intake.mailboxes import MAILBOXES


class NotFound(Exception):
    """No account, or more than one; ``subject`` is what it was looked for by."""

    state = "unmatched"

    def __init__(self, subject: str, sentence: str) -> None:
        super().__init__(sentence)
        self.subject, self.sentence = subject, sentence


class Ambiguous(NotFound):
    state = "ambiguous"


# Asked for nearly every event: Django takes longer to write them than the database to answer. Two are too many.
_NAMED = "SELECT id FROM crm_account WHERE external_id = %s"
_OF_CUSTOMER = "SELECT id FROM crm_account WHERE stripe_customer_id = %s"
_OF_CONTACT = "SELECT DISTINCT account_id FROM crm_contact WHERE email = %s LIMIT 2"
_AT_DOMAIN = "SELECT id FROM crm_account WHERE domain = %s LIMIT 2"


@dataclass(frozen=True)
class Who:
    """What a message says of the account it is about; whatever it does not say is empty."""

    external_id: str = ""
    customer: str = ""
    email: str = ""

    @property
    def subject(self) -> str:
        """What a person who links the message to an account says of that account, too."""
        named = (("account", self.external_id), ("customer", self.customer), ("email", self.email))
        return next((f"{kind}:{value}" for kind, value in named if value), "")

    def account_id(self) -> int:
        """The account's id. Raises ``NotFound``, or ``Ambiguous`` where two are meant."""
        for what, statement, value in self._ways():
            with connection.cursor() as cursor:
                cursor.execute(statement, [value])
                found = cursor.fetchall()
            if len(found) == 1:
                return int(found[0][0])
            if found:
                raise Ambiguous(self.subject, f"More than one account has {what}.")
        if not self.subject:
            raise NotFound("", "It says nothing of whose account it is about.")
        raise NotFound(self.subject, f"No account is known for {self.subject.partition(':')[2]}.")

    def _ways(self) -> Iterator[tuple[str, str, str]]:
        if self.external_id:
            # Whoever names an account means that one or none.
            yield self.external_id, _NAMED, self.external_id
            return
        if self.customer:
            yield self.customer, _OF_CUSTOMER, self.customer
        if self.email:
            yield f"the contact {self.email}", _OF_CONTACT, self.email
            domain = self.email.rpartition("@")[2]
            if domain not in MAILBOXES:
                yield f"the domain {domain}", _AT_DOMAIN, domain


def accounts_of(addresses: Sequence[str]) -> list[int]:
    """The ids of these addresses’ accounts, each once, in their order; two queries, however many they are.

    An address nobody knows, or more than one account has, is left out where another one leads to an account. Raises
    ``NotFound``, or ``Ambiguous``, where none does.
    """
    meant: defaultdict[str, set[int]] = defaultdict(set)
    rows = Account.objects.filter(contacts__email__in=addresses).values_list("contacts__email", "pk")
    for address, pk in rows:
        meant[address].add(pk)
    domains = {
        address: domain
        for address in addresses
        if address not in meant and (domain := address.rpartition("@")[2]) not in MAILBOXES
    }
    at_domain: defaultdict[str, set[int]] = defaultdict(set)
    for domain, pk in Account.objects.filter(domain__in={*domains.values()}).values_list("domain", "pk"):
        at_domain[domain].add(pk)
    meant |= {address: at_domain[domain] for address, domain in domains.items() if domain in at_domain}
    found = {pk for several in meant.values() if len(several) == 1 for pk in several}
    if found:
        return sorted(found)
    if meant:
        address = min(meant)
        raise Ambiguous(f"email:{address}", f"More than one account has {address}.")
    others = f" and {len(addresses) - 1} others" if len(addresses) > 1 else ""
    raise NotFound(f"email:{addresses[0]}", f"No account is known for {addresses[0]}{others}.")
