#!/usr/bin/env python
"""Django's commands, with a sentence in place of a traceback when nothing runs yet."""

import os
import sys

HOW = "Start it with `make run`, then try again from a second terminal."


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import OperationalError
    except ModuleNotFoundError:
        sys.exit(f"Nothing is set up yet for this Python. {HOW}")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"{error}")
    except OperationalError as error:
        # Without a SQLSTATE it is the connection that failed, and not what we asked.
        if getattr(error.__cause__, "sqlstate", None):
            raise
        sys.exit(f"The database does not answer. {HOW}\n({str(error).splitlines()[0]})")


if __name__ == "__main__":
    main()
