"""The pipeline: the stages an account can stand at, the moves between them, and what each move asks for.

Stages and moves follow the onboarding team's handbook ("Onboarding tracking"). Each move is one
django-fsm transition; everything else that speaks of stages (board, list, admin, API, playbooks, docs) reads
the tables built here and holds no rule of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from django.db import models
from django.db.models import Q
from django_fsm import GET_STATE, RETURN_VALUE, FSMField, transition
from django_fsm import FSMFieldDescriptor as BaseDescriptor


class Stage(models.TextChoices):
    """Where an account stands. The empty value is an account known to us but not in the pipeline."""

    OUTSIDE = "", "Outside the pipeline"
    NEW = "new", "1. New Account"
    INITIATED = "initiated", "2. Onboarding Initiated"
    ENGAGED_EMAIL = "engaged_email", "3a. Engaged — Email"
    CALL_BOOKED = "call_booked", "3b. Engaged — Call Booked"
    INTRO_CALL_COMPLETED = "intro_call_completed", "4a. Intro Call Completed"
    SECOND_CALL_COMPLETED = "second_call_completed", "4b. Second Call Completed"
    HOMEWORK_OFFERED = "homework_offered", "4c. Homework Offered"
    AWAITING_FINAL_OUTREACH = "awaiting_final_outreach", "5. Awaiting Final Outreach"
    ONBOARDED_NO_ENGAGEMENT = "onboarded_no_engagement", "6a. Onboarded — No Engagement"
    ONBOARDED_ENGAGED = "onboarded_engaged", "6b. Onboarded — Engaged"
    SALES_HANDOFF = "sales_handoff", "6c. Sales Handoff"
    CHURNED = "churned", "6d. Churned"
    PAID_CALL = "paid_call_purchased", "7. Paid call purchased"

    @property
    def number(self) -> str:
        """The short name the team says aloud: "3b"; "outside" for no stage."""
        return self.label.partition(".")[0] if self else "outside"


OUTSIDE = Stage.OUTSIDE
STAGES: tuple[Stage, ...] = tuple(stage for stage in Stage if stage)

CLOSED: tuple[Stage, ...] = (
    Stage.ONBOARDED_NO_ENGAGEMENT,
    Stage.ONBOARDED_ENGAGED,
    Stage.SALES_HANDOFF,
    Stage.CHURNED,
)
OPEN: tuple[Stage, ...] = tuple(stage for stage in STAGES if stage not in CLOSED)
ONBOARDED: tuple[Stage, ...] = (Stage.ONBOARDED_NO_ENGAGEMENT, Stage.ONBOARDED_ENGAGED)
AFTER_INTRO_CALL: tuple[Stage, ...] = (
    Stage.INTRO_CALL_COMPLETED,
    Stage.SECOND_CALL_COMPLETED,
    Stage.HOMEWORK_OFFERED,
)

# Days after which standing at a stage is too long. A paid call never is: its booking link has no expiry.
TOO_LONG_AFTER: dict[Stage, int] = {
    Stage.NEW: 7,
    Stage.INITIATED: 21,
    Stage.ENGAGED_EMAIL: 14,
    Stage.CALL_BOOKED: 14,
    Stage.INTRO_CALL_COMPLETED: 21,
    Stage.SECOND_CALL_COMPLETED: 21,
    Stage.HOMEWORK_OFFERED: 21,
    Stage.AWAITING_FINAL_OUTREACH: 10,
}

Engagement = Literal["email", "call", "purchase"]

# A file that puts an account here on its first load says that the customer has engaged, and most likely how.
REACHED_BY_ENGAGEMENT: dict[Stage, Engagement] = {
    Stage.ENGAGED_EMAIL: "email",
    Stage.CALL_BOOKED: "call",
    Stage.INTRO_CALL_COMPLETED: "call",
    Stage.SECOND_CALL_COMPLETED: "call",
    Stage.HOMEWORK_OFFERED: "call",
    Stage.ONBOARDED_ENGAGED: "email",
    Stage.PAID_CALL: "purchase",
}


class Facts(Protocol):
    """What a guard looks at: an Account, or any row that carries these columns."""

    @property
    def stage(self) -> Any: ...
    @property
    def engaged_at(self) -> Any: ...
    @property
    def intro_call_completed_at(self) -> Any: ...
    @property
    def stage_before_paid_call(self) -> Any: ...


@dataclass(frozen=True)
class Guard:
    """A condition of a move, once for a single account, once for a query, and the words it refuses with.

    ``refusal`` may hold ``{engaged_on}``, the day the customer engaged.
    """

    holds: Callable[[Facts], bool]
    where: Q
    refusal: str

    def __call__(self, account: Facts) -> bool:
        return self.holds(account)

    @property
    def rule(self) -> str:
        """The refusal without what differs from account to account."""
        return self.refusal.replace(" since {engaged_on}", "")


NEVER_ENGAGED = Guard(
    lambda account: account.engaged_at is None,
    Q(engaged_at__isnull=True),
    "Not “No Engagement”: they have engaged since {engaged_on}.",
)
HAS_ENGAGED = Guard(
    lambda account: account.engaged_at is not None,
    Q(engaged_at__isnull=False),
    "Not “Engaged”: they have never engaged.",
)
INTRO_CALL_DONE = Guard(
    lambda account: account.intro_call_completed_at is not None,
    Q(intro_call_completed_at__isnull=False),
    "The second call comes after the intro call, and no intro call was completed.",
)
WAS_IN_PIPELINE = Guard(
    lambda account: account.stage_before_paid_call != OUTSIDE,
    ~Q(stage_before_paid_call=OUTSIDE),
    "They bought a call from outside the pipeline, so there is no onboarding to wrap up.",
)


class RefreshableDescriptor(BaseDescriptor):
    """Keeps ``account.stage = …`` out of the code, but lets the same value and a reload through.

    The mark that a reload is under way is on the one instance, never on the field: other threads keep the rule.
    """

    def __set__(self, instance: models.Model, value: Any) -> None:
        held = instance.__dict__
        if "_reloading_stage" in held or held.get(self.field.name) == value:
            self.field.set_state(instance, value)
        else:
            super().__set__(instance, value)


class StageField(FSMField):
    """The protected FSM field of a stage."""

    descriptor_class = RefreshableDescriptor

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("protected", True)
        super().__init__(**kwargs)


def move(
    source: list[Stage] | str,
    target: Any,
    label: str,
    *,
    guards: Sequence[Guard] = (),
    automatic: bool = False,
    people: bool = True,
    needs: str = "",
    engages: Engagement | None = None,
) -> Any:
    """A django-fsm transition with what the pages, the one writer and the docs need to know of it.

    ``label`` is the button's words, ``automatic`` whether a playbook or an event may make it, ``needs`` the name
    of the text it asks for, ``engages`` what kind of engagement the move records.
    """
    return transition(
        field="stage",
        source=source,
        target=target,
        conditions=cast(Any, list(guards)),
        custom={"label": label, "automatic": automatic, "people": people, "needs": needs, "engages": engages},
    )


class Pipeline(models.Model):
    """The stage of an account and the moves it can make. ``Account`` inherits it; ``Account.move`` drives it."""

    stage = StageField(max_length=32, choices=Stage, default=OUTSIDE, blank=True, editable=False)
    version = models.PositiveIntegerField(default=0, editable=False, help_text="Counts the moves, from 1.")
    stage_since = models.DateTimeField(null=True, blank=True, editable=False)
    stage_before_paid_call = models.CharField(max_length=32, default=OUTSIDE, blank=True, editable=False)
    entered_at = models.DateTimeField(null=True, blank=True, editable=False)
    engaged_at = models.DateTimeField(null=True, blank=True, editable=False)
    engaged_via = models.CharField(
        max_length=8,
        blank=True,
        editable=False,
        choices=[("email", "E-mail"), ("call", "Call"), ("purchase", "Purchase")],
    )
    intro_call_completed_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        abstract = True

    @move([OUTSIDE], Stage.NEW, "Enter the pipeline", automatic=True)
    def enter(self) -> None:
        """The account becomes ours and waits for its first outreach."""

    @move([Stage.NEW], Stage.INITIATED, "Outreach sent", automatic=True)
    def send_outreach(self) -> None:
        """The initial outreach went out: a conversation a specialist started."""

    @move([Stage.INITIATED], Stage.ENGAGED_EMAIL, "Reply received", automatic=True, engages="email")
    def record_reply(self) -> None:
        """The customer answered the initial outreach."""

    @move([Stage.AWAITING_FINAL_OUTREACH, Stage.PAID_CALL], Stage.CALL_BOOKED, "Call booked", engages="call")
    @move(
        [Stage.NEW, Stage.INITIATED, Stage.ENGAGED_EMAIL],
        Stage.CALL_BOOKED,
        "Call booked",
        automatic=True,
        engages="call",
    )
    def book_call(self) -> None:
        """The customer booked a call."""

    @move([Stage.CALL_BOOKED], Stage.ENGAGED_EMAIL, "Call cancelled")
    def cancel_call(self) -> None:
        """The booked call will not take place; the conversation goes on by e-mail."""

    @move(
        [Stage.AWAITING_FINAL_OUTREACH, Stage.PAID_CALL],
        Stage.INTRO_CALL_COMPLETED,
        "Intro call completed",
        engages="call",
    )
    @move(
        [Stage.CALL_BOOKED],
        Stage.INTRO_CALL_COMPLETED,
        "Intro call completed",
        automatic=True,
        engages="call",
    )
    def complete_intro_call(self) -> None:
        """The first call was held."""

    @move(
        [Stage.AWAITING_FINAL_OUTREACH],
        Stage.SECOND_CALL_COMPLETED,
        "Second call completed",
        guards=[INTRO_CALL_DONE],
        engages="call",
    )
    @move(
        [Stage.INTRO_CALL_COMPLETED],
        Stage.SECOND_CALL_COMPLETED,
        "Second call completed",
        automatic=True,
        engages="call",
    )
    def complete_second_call(self) -> None:
        """The second call, on goals and KPIs, was held."""

    @move([Stage.SECOND_CALL_COMPLETED], Stage.HOMEWORK_OFFERED, "Homework offered")
    def offer_homework(self) -> None:
        """Tailored homework went out after the second call. The step is optional."""

    @move(
        [Stage.PAID_CALL],
        Stage.AWAITING_FINAL_OUTREACH,
        "Await final outreach",
        guards=[WAS_IN_PIPELINE],
        automatic=True,
    )
    @move(
        [
            Stage.INITIATED,
            Stage.ENGAGED_EMAIL,
            Stage.CALL_BOOKED,
            Stage.INTRO_CALL_COMPLETED,
            Stage.SECOND_CALL_COMPLETED,
            Stage.HOMEWORK_OFFERED,
        ],
        Stage.AWAITING_FINAL_OUTREACH,
        "Await final outreach",
        automatic=True,
    )
    def await_final_outreach(self) -> None:
        """The bill renews soon: one last check, then the onboarding is wrapped up."""

    @move(
        [Stage.AWAITING_FINAL_OUTREACH],
        Stage.ONBOARDED_NO_ENGAGEMENT,
        "Final outreach sent",
        guards=[NEVER_ENGAGED],
    )
    def close_without_engagement(self) -> None:
        """The final outreach went out to a customer who never engaged."""

    @move(
        [Stage.ONBOARDED_NO_ENGAGEMENT],
        Stage.ONBOARDED_ENGAGED,
        "They engaged after all",
        guards=[HAS_ENGAGED],
        automatic=True,
    )
    @move(
        [Stage.AWAITING_FINAL_OUTREACH, Stage.PAID_CALL],
        Stage.ONBOARDED_ENGAGED,
        "Final outreach sent",
        guards=[HAS_ENGAGED],
    )
    def close_engaged(self) -> None:
        """The onboarding of a customer who engaged is complete; from 6a for a late reply."""

    @move(
        [stage for stage in STAGES if stage not in (Stage.SALES_HANDOFF, Stage.CHURNED)],
        Stage.SALES_HANDOFF,
        "Hand to Sales",
        automatic=True,
        needs="handoff note",
    )
    def hand_to_sales(self) -> None:
        """Sales takes the account over, with a note on what they need to know."""

    @move([stage for stage in STAGES if stage != Stage.CHURNED], Stage.CHURNED, "Churned", needs="reason")
    def churn(self) -> None:
        """The customer left. A playbook only ever proposes it."""

    @move(
        [OUTSIDE, *(stage for stage in STAGES if stage != Stage.PAID_CALL)],
        Stage.PAID_CALL,
        "Paid call purchased",
        automatic=True,
        engages="purchase",
    )
    def buy_paid_call(self) -> None:
        """The customer bought a consultation in the merch store; open to everybody."""

    @move([Stage.SALES_HANDOFF], Stage.NEW, "Back from Sales")
    def return_from_sales(self) -> None:
        """Sales gave the account back; it starts anew."""

    @move(
        [Stage.ONBOARDED_NO_ENGAGEMENT, Stage.ONBOARDED_ENGAGED, Stage.CHURNED],
        Stage.NEW,
        "Re-enter",
        needs="reason",
    )
    def re_enter(self) -> None:
        """A closed account comes back into onboarding."""

    @move(
        [Stage.PAID_CALL],
        GET_STATE(lambda account, *args, **kwargs: account.stage_before_paid_call, states=list(Stage)),
        "Leave paid call",
        automatic=True,
    )
    def back_from_paid_call(self) -> None:
        """Back to where the account stood before it bought the call, or outside."""

    @move("*", RETURN_VALUE(*Stage), "Undo")
    def undo_move(self, back_to: str) -> str:
        """Back to where the last move came from; ``Account.undo`` decides whether that may be."""
        return back_to


@dataclass(frozen=True)
class Move:
    """One permitted (from, to) pair: ``method`` of the account makes it."""

    method: str
    source: Stage
    target: Stage
    label: str
    guards: tuple[Guard, ...]
    automatic: bool
    needs: str
    engages: Engagement | None
    says: str


def _moves() -> dict[tuple[Stage, Stage], Move]:
    """Read the table back from the transitions declared on ``Pipeline``."""
    table: dict[tuple[Stage, Stage], Move] = {}
    for method in vars(Pipeline).values():
        declared = getattr(method, "_django_fsm", None)
        for source, rule in declared.transitions.items() if declared else ():
            # Leaving a paid call and undo have no fixed target: they are asked for by name, never by a stage.
            if not isinstance(rule.target, Stage):
                continue
            pair = (Stage(source), rule.target)
            assert pair not in table, f"{pair} belongs to two moves"
            custom = {key: rule.custom[key] for key in ("label", "automatic", "needs", "engages")}
            table[pair] = Move(
                rule.name, *pair, guards=tuple(rule.conditions), says=method.__doc__ or "", **custom
            )
    return table


MOVES: dict[tuple[Stage, Stage], Move] = _moves()
