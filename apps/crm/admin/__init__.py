"""Django's admin for the house: facts can be mended here, history only read, and a stage only moved."""

from apps.crm.admin import accounts, history, people, work

__all__ = ["accounts", "history", "people", "work"]
