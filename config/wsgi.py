"""What the web server loads."""

import logging
import os
import sys

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from config.embedded.process import die_with_parent

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
