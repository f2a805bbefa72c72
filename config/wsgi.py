"""What the web server loads."""

import gc
import logging
import os
import sys

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.db import DatabaseError, connection

from config.embedded.process import die_with_parent


def refuse_demo_logins() -> None:
    """Raises when logins whose password is in the README lie in a database served beyond this machine."""
    try:
        found = get_user_model().objects.filter(email__iendswith="@onramp.example").exists()
    except DatabaseError:
        # Away, or not migrated yet: nobody can log in now, and a later start will look again.
        found = False
    if found:
        raise ImproperlyConfigured(
            "The database holds demo logins (…@onramp.example), whose password everybody knows: "
            "take another database, or delete them."
        )


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# A worker whose server process was killed would go on holding the port.
die_with_parent()

application = get_wsgi_application()

if settings.DEBUG:
    # `make run` keeps standard output as a log, and lets standard error through to the terminal.
    errors = logging.StreamHandler(sys.stderr)
    errors.setLevel(logging.ERROR)
    errors.setFormatter(logging.getLogger().handlers[0].formatter)
    logging.getLogger().addHandler(errors)
else:
    refuse_demo_logins()
    connection.close()

# What is loaded by now stays for good: the collector need not walk through it again at every few requests.
gc.collect()
gc.freeze()
# A page makes and drops some 50,000 objects, hardly any of them in circles: looking through them every 700 costs a
# tenth of its time.
gc.set_threshold(20_000, 50, 100)
