"""The databases that DATABASE_URL and REPLICA_URL name, and which reads go to the replica (docs/operations.md)."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

logger = logging.getLogger(__name__)

REPLICA = "replica"
POSTGRESQL = "django.db.backends.postgresql"
ENGINES = (POSTGRESQL, "django.db.backends.sqlite3")
# Seconds that psycopg waits for each host that a URL names; without it, two minutes.
CONNECT_SECONDS = 5
# Less for the replica: without it, reads go to the primary.
REPLICA_CONNECT_SECONDS = 2
# How long a process waits until it tries a replica again that did not answer.
RETRY_SECONDS = 10
# What GET requests to these addresses read of these apps may lag. Who signs in is read from the primary.
APPS = ("heists", "gamification")
PATHS = ("/api/", "/admin/heists/heist/dashboard/")
SAFE_METHODS = ("GET", "HEAD")


def database(variable: str, default: str = "", engines: tuple[str, ...] = ENGINES) -> dict[str, Any]:
    """Return the database that the URL in an environment variable names. Raises ImproperlyConfigured if it names none.

    The error does not quote the URL, which may hold a password.
    """
    # A warning of django-environ quotes the URL.
    with warnings.catch_warnings(action="ignore"):
        try:
            found = dict(environ.Env.db_url_config(environ.Env().str(variable, default=default)))
        except (ImproperlyConfigured, ValueError):
            found = {}
    if found.get("ENGINE") not in engines or not found.get("NAME"):
        raise ImproperlyConfigured(
            f"{variable} names no database; write it like postgres://user@localhost:5432/heists."
        )
    found.setdefault("OPTIONS", {})
    return found


@dataclass(slots=True)
class _Reads:
    """Where the reads of one request go; None until the first one."""

    alias: str | None = None


_reads: ContextVar[_Reads | None] = ContextVar("reads", default=None)
# When this process tries a replica again that did not answer, by time.monotonic().
_retry_at = 0.0


class ReplicaMiddleware:
    """Lets the reads of GET requests go to the replica."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method not in SAFE_METHODS or not request.path_info.startswith(PATHS):
            return self.get_response(request)
        token = _reads.set(_Reads())
        try:
            return self.get_response(request)
        finally:
            _reads.reset(token)


class ReplicaRouter:
    """Reads that may lag from the replica while it answers, everything else from the primary."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        reads = _reads.get()
        if reads is None or model._meta.app_label not in APPS:
            return DEFAULT_DB_ALIAS
        # One request reads from one database.
        if reads.alias is None:
            reads.alias = REPLICA if replica_answers() else DEFAULT_DB_ALIAS
        return reads.alias

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return DEFAULT_DB_ALIAS

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db != REPLICA


def replica_answers() -> bool:
    """Return whether the replica can be read. One that did not answer is tried again after RETRY_SECONDS."""
    global _retry_at
    if time.monotonic() < _retry_at:
        return False
    try:
        # Connects, or looks at the connection once in a request: CONN_HEALTH_CHECKS.
        connections[REPLICA].cursor().close()
    except (DatabaseError, InterfaceError) as error:
        connections[REPLICA].close()
        _retry_at = time.monotonic() + RETRY_SECONDS
        logger.warning("the replica does not answer, reads go to the primary: %s", error)
        return False
    return True
