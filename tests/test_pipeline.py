"""The table of moves, pair by pair, from every door that the core has."""

from itertools import product

import pytest
from django.db import transaction

from apps.crm.models import Account, StageTransition
from apps.crm.models.moving import ReasonRequired, Refused
from apps.crm.options import options, refusal
from apps.crm.pipeline import MOVES, STAGES, Stage
from apps.crm.spelling import stage_from_text
from tests.factories import NOW, account, snapshot, user, with_facts

S = Stage
OUT, N, I2, E3A, B3B = S.OUTSIDE, S.NEW, S.INITIATED, S.ENGAGED_EMAIL, S.CALL_BOOKED
C4A, C4B, H4C, F5 = (
    S.INTRO_CALL_COMPLETED,
    S.SECOND_CALL_COMPLETED,
    S.HOMEWORK_OFFERED,
    S.AWAITING_FINAL_OUTREACH,
)
N6A, E6B, S6C, X6D, P7 = (
    S.ONBOARDED_NO_ENGAGEMENT,
    S.ONBOARDED_ENGAGED,
    S.SALES_HANDOFF,
    S.CHURNED,
    S.PAID_CALL,
)

# The team's table, written out once more by hand: (from, to) → who may, P for a person and A for a playbook or an
# event, and which fact it hangs on.
PERMITTED = {
    (OUT, N): "PA",
    (N, I2): "PA",
    (I2, E3A): "PA",
    (N, B3B): "PA",
    (I2, B3B): "PA",
    (E3A, B3B): "PA",
    (F5, B3B): "P",
    (P7, B3B): "P",
    (B3B, E3A): "P",
    (B3B, C4A): "PA",
    (F5, C4A): "P",
    (P7, C4A): "P",
    (C4A, C4B): "PA",
    (F5, C4B): "P intro",
    (C4B, H4C): "P",
    (I2, F5): "PA",
    (E3A, F5): "PA",
    (B3B, F5): "PA",
    (C4A, F5): "PA",
    (C4B, F5): "PA",
    (H4C, F5): "PA",
    (P7, F5): "PA before",
    (F5, N6A): "P silent",
    (F5, E6B): "P engaged",
    (P7, E6B): "P engaged",
    (N6A, E6B): "PA engaged",
    (S6C, N): "P",
    (N6A, N): "P",
    (E6B, N): "P",
    (X6D, N): "P",
    **{(stage, S6C): "PA" for stage in STAGES if stage not in (S6C, X6D)},
    **{(stage, X6D): "P" for stage in STAGES if stage != X6D},
    **{(stage, P7): "PA" for stage in (OUT, *STAGES) if stage != P7},
}
FACTS = [
    {"engaged": engaged, "intro_call": intro, "before_paid_call": before}
    for engaged, intro, before in product((False, True), (False, True), (OUT, E3A))
]


def expected(source, target, facts, *, automatic):
    who, _, fact = PERMITTED.get((source, target), "").partition(" ")
    holds = {
        "": True,
        "intro": facts["intro_call"],
        "before": facts["before_paid_call"] != OUT,
        "silent": not facts["engaged"],
        "engaged": facts["engaged"],
    }
    return ("A" if automatic else "P") in who and holds[fact]


PAIRS = [(source, target) for source in Stage for target in Stage if source != target]


def test_the_table_of_moves_is_the_teams():
    assert set(MOVES) == set(PERMITTED)


@pytest.mark.django_db
@pytest.mark.parametrize("source", Stage, ids=lambda stage: stage.number)
def test_every_pair_is_permitted_or_refused_from_the_model_as_the_table_says(source):
    person = user()
    for facts in FACTS:
        here = with_facts(source, **facts)
        before = snapshot(here)
        for target, automatic in product(Stage, (False, True)):
            if target == source:
                continue
            cause, by = ("playbook:test", None) if automatic else ("board", person)
            with transaction.atomic():
                fresh = Account.objects.get(pk=here.pk)
                if expected(source, target, facts, automatic=automatic):
                    row = fresh.move(target, by=by, now=NOW, cause=cause, reason="because")
                    assert (row.from_stage, row.to_stage, row.version) == (
                        source,
                        target,
                        before["version"] + 1,
                    )
                    assert Account.objects.get(pk=here.pk).stage == fresh.stage == target
                    transaction.set_rollback(True)
                else:
                    with pytest.raises(Refused) as refused:
                        fresh.move(target, by=by, now=NOW, cause=cause, reason="because")
                    assert refused.value.sentence.endswith(".")
                    assert refused.value.sentence == refusal(here, target, automatic=automatic)
        assert snapshot(here) == before


@pytest.mark.django_db
@pytest.mark.parametrize("target", [N, I2, F5], ids=lambda stage: stage.number)
def test_moving_a_set_follows_the_same_rule_as_moving_one(target):
    everybody = {with_facts(source, **facts).pk: (source, facts) for source in Stage for facts in FACTS}
    with transaction.atomic():
        moved = Account.objects.all().move_all(
            target, now=NOW, cause="playbook:test", reasons=dict.fromkeys(everybody, "because")
        )
    may = {pk for pk, (source, facts) in everybody.items() if expected(source, target, facts, automatic=True)}
    assert set(moved) == may
    assert (
        set(Account.objects.filter(stage=target, version__gt=0, stage_since=NOW).values_list("pk", flat=True))
        >= may
    )
    for row in StageTransition.objects.filter(pk__in=moved.values()):
        source, _ = everybody[row.account_id]
        assert (row.from_stage, row.to_stage, row.reason) == (source, target, "because")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("source", "target", "facts", "words"),
    [
        (F5, N6A, {"engaged": True}, "they have engaged since 2026-11-01"),
        (F5, E6B, {}, "they have never engaged"),
        (F5, C4B, {}, "no intro call was completed"),
        (N, F5, {}, "an account nobody has written to has nothing to follow up"),
        (P7, F5, {}, "bought a call from outside the pipeline"),
        (C4A, B3B, {}, "“3b. Engaged — Call Booked” is reached from 1, 2, 3a, 5 or 7, not from 4a."),
        (OUT, X6D, {}, "not from outside the pipeline"),
        (N, OUT, {}, "leaves the pipeline by a closing stage"),
    ],
)
def test_a_refusal_names_the_rule_in_words(source, target, facts, words):
    assert words in refusal(with_facts(source, **facts), target)


@pytest.mark.django_db
def test_a_move_that_needs_a_reason_changes_nothing_without_one():
    person = user()
    for source, target in [(E6B, N), (N, S6C), (N, X6D)]:
        here = account(source)
        before = snapshot(here)
        with pytest.raises(ReasonRequired):
            here.move(target, by=person, now=NOW, cause="board", reason="  ")
        assert snapshot(here) == before


@pytest.mark.django_db
def test_the_options_list_every_other_stage_with_its_answer():
    listed = options(account(C4A))
    assert [option.to for option in listed] == [stage for stage in STAGES if stage != C4A]
    assert [option.to.number for option in listed if option.permitted] == ["4b", "5", "6c", "6d", "7"]
    assert all(option.refusal for option in listed if not option.permitted)


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("3b. Engaged — Call Booked", B3B),
        ("3b. Engaged - call booked", B3B),
        ("3B. ENGAGED – CALL BOOKED", B3B),
        ("Engaged — Email", E3A),
        ("engaged_email", E3A),
        ("7. Paid Call Purchased", P7),
        ("3. Customer Engaged", E3A),
        ("4. Nurture", C4A),
        ("4. (Nurture)", C4A),
        ("4c. Homework Offered", H4C),
        ("8. Something Else", None),
        ("3. Onboarded", None),
        ("", None),
    ],
)
def test_a_stage_is_read_in_any_writing_of_its_label(text, stage):
    assert stage_from_text(text) is stage
