from apps.intake.events import Event
from apps.intake.imports import Import
from apps.intake.tokens import ApiToken, IdempotentAnswer

__all__ = ["ApiToken", "Event", "IdempotentAnswer", "Import"]
