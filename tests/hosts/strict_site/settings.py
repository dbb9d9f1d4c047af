"""A site with a login wall, versions in its URLs, two databases, no translations, and settings of DRF that differ."""

from base_settings import *  # noqa: F403
from base_settings import DATABASES, INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = [*INSTALLED_APPS, "game"]
MIDDLEWARE = [*MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
ROOT_URLCONF = "urls_strict"
USE_I18N = False
AUTH_USER_MODEL = "game.Player"
LOGIN_URL = "/login/"

# Sessions are in a database of their own; everything of the game is in the other.
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "sessions.sqlite3",
        "TEST": {"NAME": "sessions.test.sqlite3"},
    },
    "game": DATABASES["default"],
}
DATABASE_ROUTERS = ["game.routers.GameRouter"]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["game.renderers.EnvelopeRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FormParser"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.URLPathVersioning",
    "ALLOWED_VERSIONS": ["v1"],
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": "1/day"},
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "game.renderers.exception_handler",
    "DATETIME_FORMAT": "%d/%m/%Y",
    "DATETIME_INPUT_FORMATS": ["%d/%m/%Y"],
    "COERCE_DECIMAL_TO_STRING": False,
    "PAGE_SIZE": 3,
    "UNICODE_JSON": False,
}
HEISTS = {"ECONOMY": "game.economy.GameEconomy", "SITE_URL": "https://strict.example"}
