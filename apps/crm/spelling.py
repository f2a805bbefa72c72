"""Reading a stage from a text of another system, in whatever spelling, or of a time when it had another name."""

from __future__ import annotations

from apps.crm.pipeline import STAGES, Stage


def stage_from_text(text: str) -> Stage | None:
    """Read a stage from a key or a label as other systems write them, or None.

    Any dash, any case, with or without the number; a few retired labels mean a stage of today.
    """
    plain = _plain(text)
    return _BY_TEXT.get(plain) or _BY_TEXT.get(_unnumbered(plain))


def _plain(text: str) -> str:
    """Fold dashes, case and white space, so that two ways to write one label meet."""
    folded = text.translate({ord(dash): "-" for dash in "‐‑‒–—―−"}).casefold()
    return " ".join(folded.replace("-", " - ").split())


def _unnumbered(plain: str) -> str:
    number, dot, rest = plain.partition(".")
    return rest.strip() if dot and len(number) <= 2 else plain


_BY_TEXT: dict[str, Stage] = {}
for _stage in STAGES:
    _BY_TEXT[_stage.value] = _BY_TEXT[_plain(_stage.label)] = _BY_TEXT[_unnumbered(_plain(_stage.label))] = (
        _stage
    )
for _old, _stage in {
    "3. Customer Engaged": Stage.ENGAGED_EMAIL,
    "4. Nurture": Stage.INTRO_CALL_COMPLETED,
    "4. (Nurture)": Stage.INTRO_CALL_COMPLETED,
}.items():
    _BY_TEXT[_plain(_old)] = _BY_TEXT[_unnumbered(_plain(_old))] = _stage

# Retired values that name no stage of today: the account stays outside until a person places it.
QUARANTINED: frozenset[str] = frozenset(
    _plain(old) for old in ("3. Onboarded", "3. Onboarding Completed", "Onboarded (Done)")
)


def is_quarantined(text: str) -> bool:
    """Whether a stage value of old can be kept only as a label, for a person to place."""
    return _plain(text) in QUARANTINED
