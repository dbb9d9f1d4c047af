"""The site as an ASGI application."""

import os

# Under ASGI a request may get a thread of its own, which would leave its connection open for as long as it may be kept.
os.environ.setdefault("DATABASE_CONN_MAX_AGE", "0")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.asgi import get_asgi_application

application = get_asgi_application()
