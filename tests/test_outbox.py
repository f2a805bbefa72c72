"""Messages that leave the building: written once, in order, with what acts on a reader taken out."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from apps.outbox.models import MAIL, SLACK, Message, backoff
from tests.factories import NOW, account, days

pytestmark = pytest.mark.django_db


def note(key="a", **more):
    return Message.slack(key, kind="test", subject="Something happened", now=NOW, **more)


def letter(key="a", **more):
    return Message.mail(key, to="Ann@Acme.example", kind="test", subject="Hello", now=NOW, **more)


def test_a_message_is_written_once_a_key_and_only_new_ones_are_returned():
    first = note("a")
    assert Message.objects.write([first]) == [first]
    again, second = note("a"), letter("b")
    assert Message.objects.write([again, second]) == [second]
    kept = Message.objects.order_by("pk").values_list("pk", "key", "channel", "to", "reference")
    assert list(kept) == [
        (first.pk, "a", SLACK, "", first.reference),
        (second.pk, "b", MAIL, "ann@acme.example", second.reference),
    ]


def test_a_message_is_gone_with_the_transaction_that_caused_it():
    with transaction.atomic():
        assert Message.objects.write([note()])
        transaction.set_rollback(True)
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    "bad",
    [
        {"channel": "pigeon"},
        {"to": "someone"},
        {"channel": MAIL},
        {"automatic": True},
        {"sent_at": NOW, "held_at": NOW},
        {"sent_at": NOW, "failed_at": NOW},
    ],
)
def test_the_database_refuses_a_message_that_cannot_be(bad):
    Message.objects.write([note("good")])
    with pytest.raises(IntegrityError), transaction.atomic():
        Message.objects.filter(key="good").update(**bad)
    assert [(one.channel, one.to, one.sent_at) for one in Message.objects.all()] == [(SLACK, "", None)]


def test_what_acts_on_a_reader_is_taken_out_when_it_is_written():
    Message.objects.write(
        [note(text="a\r\nb\x00\x1b[31m\u202eevil\u2066", account_id=None), letter("b", html="<p>x</p>")]
    )
    assert Message.objects.get(key="a").text == "a\nb��[31m�evil�"
    Message.objects.write([Message.slack("c", kind="test", subject="To:\n Bcc: x@y.example", now=NOW)])
    assert Message.objects.get(key="c").subject == "To: Bcc: x@y.example"


def test_an_accounts_later_message_waits_for_its_earlier_one():
    one, other = account(), account()
    first, second, elsewhere = (
        note("a", account_id=one.pk),
        note("b", account_id=one.pk),
        note("c", account_id=other.pk),
    )
    later, last = note("d", account_id=other.pk, due_at=NOW + days(1)), note("e", account_id=other.pk)
    Message.objects.write([first, second, elsewhere])
    assert list(Message.objects.due(NOW)) == [first, elsewhere]
    Message.objects.filter(pk=first.pk).update(due_at=NOW + days(1), tries=1)
    assert list(Message.objects.due(NOW)) == [elsewhere]
    Message.objects.filter(pk__in=[first.pk, elsewhere.pk]).update(sent_at=NOW)
    Message.objects.write([later, last])
    assert list(Message.objects.due(NOW)) == [second, last]


def test_a_try_in_vain_waits_longer_each_time_and_an_hour_at_most():
    assert [round(backoff(tries).total_seconds()) for tries in (1, 2, 3, 10, 11, 400)] == [
        *(30, 48, 77, 2062, 3299, 3600)
    ]
