"""The site as an ASGI application."""

import os

# Under ASGI a request may run in a thread of its own, whose connection would stay open for CONN_MAX_AGE.
os.environ.setdefault("DATABASE_CONN_MAX_AGE", "0")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.asgi import get_asgi_application

application = get_asgi_application()
