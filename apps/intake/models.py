from apps.intake.imports import Import
from apps.intake.tokens import ApiToken, IdempotentAnswer

__all__ = ["ApiToken", "IdempotentAnswer", "Import"]
