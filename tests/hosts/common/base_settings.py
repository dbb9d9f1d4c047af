"""The settings that all hosts share: a plain Django site."""

import os
import sys
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict

SECRET_KEY = "only-for-these-tests"
DEBUG = False
ALLOWED_HOSTS = ["testserver"]
ROOT_URLCONF = "urls"
USE_TZ = True
TIME_ZONE = "Europe/Madrid"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "heists",
]
if "SKIN" in os.environ:
    # Before the admin, as both skins want it.
    INSTALLED_APPS.insert(0, os.environ["SKIN"])
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"]}

_url = urlsplit(os.environ["HOST_DATABASE_URL"])
if _url.scheme == "sqlite":
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": _url.path,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            },
            "TEST": {"NAME": f"{_url.path}.test"},
        }
    }
else:
    # Parsed by libpq: the host may be a socket's folder, given in the query.
    _server = conninfo_to_dict(os.environ["HOST_DATABASE_URL"])
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _server["dbname"],
            "USER": _server["user"],
            "PASSWORD": _server.get("password", ""),
            "HOST": _server.get("host", ""),
            "PORT": _server.get("port", ""),
        }
    }

if os.environ.get("DRIVER") == "psycopg2":
    # Django prefers psycopg 3 where it can be imported.
    sys.modules["psycopg"] = None
