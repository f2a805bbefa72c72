"""What the web server loads."""

import os

from django.core.wsgi import get_wsgi_application

from config.embedded.process import die_with_parent

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# A worker whose server process was killed would go on holding the port.
die_with_parent()

application = get_wsgi_application()
