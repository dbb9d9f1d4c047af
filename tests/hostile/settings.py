"""The example site with settings that change the answers of a host's own views."""

from config.settings import *  # noqa: F403
from config.settings import MIDDLEWARE, REST_FRAMEWORK

HERE = "tests.hostile.rest_framework"

MIDDLEWARE = [*MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
USE_THOUSAND_SEPARATOR = True
TIME_ZONE = "Pacific/Auckland"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "DEFAULT_RENDERER_CLASSES": [f"{HERE}.WrappingRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FormParser"],
    "DEFAULT_PERMISSION_CLASSES": [f"{HERE}.NobodyMay"],
    "DEFAULT_THROTTLE_CLASSES": [f"{HERE}.AlwaysThrottled"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": f"{HERE}.NoNegotiation",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.NamespaceVersioning",
    "ALLOWED_VERSIONS": ["v9"],
    "DEFAULT_PAGINATION_CLASS": f"{HERE}.OnePerPage",
    "PAGE_SIZE": 1,
    "DEFAULT_FILTER_BACKENDS": [f"{HERE}.NothingFound"],
    "EXCEPTION_HANDLER": f"{HERE}.exception_handler",
    "NON_FIELD_ERRORS_KEY": "__all__",
    "UNAUTHENTICATED_USER": None,
    # Two parameters of the API.
    "URL_FORMAT_OVERRIDE": "status",
    "FORMAT_SUFFIX_KWARG": "heist_id",
    "DATETIME_FORMAT": "%d.%m.%Y",
    "DATETIME_INPUT_FORMATS": ["%d.%m.%Y"],
    "DATE_FORMAT": "%d.%m.%Y",
    "TIME_FORMAT": None,
    "COERCE_DECIMAL_TO_STRING": False,
    "UNICODE_JSON": False,
    "COMPACT_JSON": False,
    "STRICT_JSON": False,
}
