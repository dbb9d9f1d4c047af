"""Settings of the example site, from the environment or a `.env` file; `.env.example` lists every name.

Secure by default: without DEBUG the site needs a SECRET_KEY and HTTPS; INSECURE_HTTP turns HTTPS off.
"""

import logging
import os
import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django
import environ
from django.core.exceptions import ImproperlyConfigured

import heists
from gamification.conf import SETTINGS as REFERRAL_SETTINGS
from heists.conf import DEFAULTS

from .databases import CONNECT_SECONDS, POSTGRESQL, REPLICA, REPLICA_CONNECT_SECONDS, database

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env_file = Path(os.environ.get("ENV_FILE", BASE_DIR / ".env"))
if env_file.is_file():
    env.read_env(env_file)

# Everything the site itself writes; ignored by git.
VAR_DIR = Path(os.environ.get("VAR_DIR") or BASE_DIR / "var")

# Running

DEBUG = env.bool("DEBUG", default=False)
# Turns HTTPS off: for a demo on the loopback interface, or behind a proxy that already rejects plain HTTP.
INSECURE_HTTP = env.bool("INSECURE_HTTP", default=DEBUG)

# Not read by django-environ, which takes a value that begins with "$" for another variable's name.
SECRET_KEY = os.environ.get("SECRET_KEY", "")
DEMO_SECRET_KEY = "django-insecure-demo-of-heists-everybody-knows-this-key"  # noqa: S105
if DEBUG:
    SECRET_KEY = SECRET_KEY or DEMO_SECRET_KEY
elif SECRET_KEY in ("", DEMO_SECRET_KEY):
    raise ImproperlyConfigured("Set SECRET_KEY to a long random text of your own, or DEBUG=true for a demo.")

ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"

INSTALLED_APPS = [
    # Before the admin, whose front page then links to the dashboard of heists.
    "heists",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "gamification",
    "config",
]

MIDDLEWARE = [
    # First, so that the answers of the others carry the id too.
    "config.request_id.RequestIDMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
if DEBUG:
    # Django's own development server serves the static files of every app without collecting them.
    MIDDLEWARE.remove("whitenoise.middleware.WhiteNoiseMiddleware")

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database

DATABASES: dict[str, dict[str, Any]] = {
    "default": database("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'db.sqlite3'}"),
}
_database = DATABASES["default"]
# A service opens a durable transaction of its own, which raises inside a transaction around the request.
_database["ATOMIC_REQUESTS"] = False
if _database["ENGINE"].endswith("sqlite3"):
    if _database["NAME"] != ":memory:":
        Path(_database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
    # A transaction that begins by reading and then writes would lose to "database is locked"; IMMEDIATE ones queue.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    _pool = env.bool("DATABASE_POOL", default=False)
    # A pool keeps the connections itself; Django raises if it is to keep them too.
    _database["CONN_MAX_AGE"] = 0 if _pool else env.int("DATABASE_CONN_MAX_AGE", default=60)
    _database["CONN_HEALTH_CHECKS"] = True
    # For PgBouncer in transaction mode.
    _bouncer = env.bool("DATABASE_DISABLE_SERVER_SIDE_CURSORS", default=False)
    _database["DISABLE_SERVER_SIDE_CURSORS"] = _bouncer
    _database["OPTIONS"].setdefault("connect_timeout", CONNECT_SECONDS)
    if env.bool("DATABASE_PREPARED_STATEMENTS", default=not _bouncer):
        # PostgreSQL takes longer to plan our joins than to run them; a connection plans what it repeats only once.
        _database["OPTIONS"].update(server_side_binding=True, prepare_threshold=5)
    if _pool:
        _size = env.int("DATABASE_POOL_SIZE", default=10)
        _database["OPTIONS"]["pool"] = {"min_size": 1, "max_size": _size, "timeout": 10}
if os.environ.get("REPLICA_URL"):
    if _database["ENGINE"] != POSTGRESQL:
        raise ImproperlyConfigured("REPLICA_URL needs a PostgreSQL in DATABASE_URL, whose replica it names.")
    # Like the database that is written, except for what its URL says.
    _replica = database("REPLICA_URL", engines=(POSTGRESQL,))
    _urls = {"host", "port", "target_session_attrs", "connect_timeout"}
    _options = {key: value for key, value in _database["OPTIONS"].items() if key not in _urls}
    _replica["OPTIONS"] = _options | {"connect_timeout": REPLICA_CONNECT_SECONDS} | _replica["OPTIONS"]
    DATABASES[REPLICA] = _database | _replica | {"CONN_HEALTH_CHECKS": True, "TEST": {"MIRROR": "default"}}
    DATABASE_ROUTERS = ["config.databases.ReplicaRouter"]
    # Inside the others: who signs in is not read from the replica.
    MIDDLEWARE.append("config.databases.ReplicaMiddleware")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def redis_cache(url: str) -> dict[str, Any]:
    """Return the cache that a Redis URL names. Raises ImproperlyConfigured if the URL is malformed."""
    from redis.backoff import NoBackoff
    from redis.connection import ConnectionPool
    from redis.retry import Retry

    location = url.replace("rediscache://", "redis://", 1)
    # Seconds: while Redis does not answer, each request waits this long before it is let through.
    options = {"socket_connect_timeout": 0.25, "socket_timeout": 0.25, "retry": Retry(NoBackoff(), 0)}
    try:
        # Builds a connection without opening it, so that a mistake in the URL shows now and not at the first request.
        ConnectionPool.from_url(location, **options).make_connection()
        valid = location.startswith("unix:") or bool(re.fullmatch(r"/?\d*/?", urlsplit(location).path))
    except (TypeError, ValueError):
        valid = False
    if not valid:
        # Without the URL, and without the error's text, which may quote it: it may hold a password.
        raise ImproperlyConfigured("CACHE_URL is no URL of a Redis; write it like redis://localhost:6379/1.")
    # A list, because Django splits a text at commas and semicolons, which a password may hold.
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": [location],
        "OPTIONS": options,
    }


CACHES: dict[str, dict[str, Any]] = {
    # Each process counts requests for itself.
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
}
if _cache_url := env.str("CACHE_URL", default=""):
    CACHES["default"] = redis_cache(_cache_url)

# People

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Requests that one client address may send.
SIGNUP_RATE_LIMIT_PER_MINUTE = env.int("SIGNUP_RATE_LIMIT_PER_MINUTE", default=30)
LOGIN_RATE_LIMIT_PER_MINUTE = env.int("LOGIN_RATE_LIMIT_PER_MINUTE", default=60)
REST_KNOX = {"TOKEN_TTL": timedelta(hours=env.int("LOGIN_TOKEN_HOURS", default=24 * 30))}

LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("es", "Español")]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = env.str("TIME_ZONE", default="UTC")

# HTTPS

SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=not INSECURE_HTTP)
# Load balancers ask by plain HTTP and take a redirect for a failure.
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)/$"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not INSECURE_HTTP
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=0 if INSECURE_HTTP else 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("SECURE_HSTS_PRELOAD", default=False)
# Whether all subdomains use HTTPS is the owner's decision, so the two checks about it are silenced.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
if env.bool("BEHIND_TLS_PROXY", default=False):
    # Only for a proxy that sets or strips this header on every request: a client could claim HTTPS otherwise.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Files and emails

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Without a manifest: Swagger UI's files refer to maps that were never shipped, and a manifest would fail on them.
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}

if DEBUG and not env.str("EMAIL_URL", default=""):
    _mail = {
        "EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend",
        "EMAIL_FILE_PATH": str(VAR_DIR / "mail"),
    }
else:
    _mail = env.email_url("EMAIL_URL", default="smtp://localhost:25")
    if "smtp" in _mail["EMAIL_BACKEND"]:
        # Seconds; without it, a mail server that does not answer would block a worker for ever.
        _mail["EMAIL_TIMEOUT"] = 10
_mail = {key: value for key, value in _mail.items() if key.startswith("EMAIL_") and value}
if django.VERSION >= (6, 1):
    _names = {"EMAIL_HOST_USER": "username", "EMAIL_HOST_PASSWORD": "password"}
    MAILERS = {
        "default": {
            "BACKEND": _mail.pop("EMAIL_BACKEND"),
            "OPTIONS": {_names.get(key) or key.removeprefix("EMAIL_").lower(): value for key, value in _mail.items()},
        }
    }
else:
    globals().update(_mail)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Heists <heists@localhost>")
# `/readyz/` warns where the oldest email has been due for longer.
HEALTH_EMAIL_SECONDS = env.int("HEALTH_EMAIL_SECONDS", default=900)


def _is_no_probe(record: logging.LogRecord) -> bool:
    """Return whether a line is about another answer than "not ready", which `config.health` logs as a warning."""
    return getattr(record, "status_code", 0) != 503 or record.request.path != "/readyz/"  # type: ignore[attr-defined]


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request_id": {"()": "log_request_id.filters.RequestIDFilter"},
        "no_probe": {"()": "django.utils.log.CallbackFilter", "callback": _is_no_probe},
    },
    "formatters": {"line": {"format": "{asctime} {levelname} {name} [{request_id}] {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["request_id"], "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "heists": {"level": "INFO"},
        "gamification": {"level": "INFO"},
        # Django gives its own loggers a handler; without this, lines would be written twice or without the id.
        "django": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "django.request": {"filters": ["no_probe"]},
        # A traceback for each probe that fails; `config.health` writes a line.
        "health_check": {"level": "CRITICAL"},
        "django.server": {"handlers": ["console"], "level": "INFO", "propagate": False},
    },
}
LOG_REQUEST_ID_HEADER = "HTTP_X_REQUEST_ID"
REQUEST_ID_RESPONSE_HEADER = "X-Request-ID"
GENERATE_REQUEST_ID_IF_NOT_IN_HEADER = True
# The id in log lines outside of a request.
NO_REQUEST_ID = "-"

# The game


def _value(text: str, default: Any) -> Any:
    """Return a text as a value of the default's type, or the text itself: a system check reports it then."""
    if isinstance(default, bool):
        answers = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)
        return answers.get(text.lower(), text)
    if isinstance(default, int):
        for number in (int, float):
            with suppress(ValueError):
                return number(text)
    return text


HEISTS: dict[str, Any] = {
    "ECONOMY": "gamification.economy.GamificationEconomy",
    "POINT_EVENT_TYPE_MODEL": "gamification.PointEventTypeMaster",
}
if DEBUG:
    # Where `make run` serves the site. Its emails lead there: a browser keeps a sign-in for one host name only.
    _host = os.environ.get("HOST") or "127.0.0.1"
    _host = "localhost" if _host in ("0.0.0.0", "::", "[::]") else _host  # noqa: S104
    RUN_URL = f"http://{_host}:{os.environ.get('PORT') or 8000}"
    HEISTS["SITE_URL"] = RUN_URL
# Only what the environment sets: the defaults stay in one place, `heists.conf`.
for _key, _default in DEFAULTS.items():
    if _text := os.environ.get(f"HEIST_{_key}", "").strip():
        HEISTS[_key] = _value(_text, _default)

# Only what the environment sets: the defaults stay in one place, `gamification.conf`.
GAMIFICATION: dict[str, Any] = {
    _key: _value(_text, 0) for _key in REFERRAL_SETTINGS if (_text := os.environ.get(_key, "").strip())
}

# The API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "gamification.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["heists.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "heists.api.problems.handler",
    "NUM_PROXIES": HEISTS.get("TRUSTED_PROXIES", 0),
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
if env.bool("BROWSABLE_API", default=DEBUG):
    REST_FRAMEWORK["DEFAULT_RENDERER_CLASSES"] += ["rest_framework.renderers.BrowsableAPIRenderer"]

SPECTACULAR_SETTINGS = {
    "TITLE": "Heists",
    "DESCRIPTION": "Rob other players' monthly points. Sign up, sign in, and send `Authorization: Token …`.",
    "VERSION": heists.__version__,
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/",
    # Generated clients take "required" literally: a password is sent and never received, a token the other way round.
    "COMPONENT_SPLIT_REQUEST": True,
    # Served by this site, so that the documentation works without internet.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # JavaScript: a token that is pasted without its word gets it, and a reload keeps it. The second
    # `requestInterceptor` is that of drf-spectacular's page, which adds the CSRF token.
    "SWAGGER_UI_SETTINGS": """{
        deepLinking: true,
        persistAuthorization: true,
        requestInterceptor: (request) => {
            const value = (request.headers.Authorization || "").trim();
            if (value) request.headers.Authorization = value.includes(" ") ? value : `Token ${value}`;
            return requestInterceptor(request);
        },
    }""",
}
