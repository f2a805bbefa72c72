from apps.intake.imports import Import

__all__ = ["Import"]
