"""The site's health (docs/specification.md, "HTTP API"): does it answer (`/healthz/`), can it serve (`/readyz/`).

The answers name what is checked, never where it is or why it fails; the log has the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import connections, router
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from health_check import checks
from health_check.base import HealthCheck
from health_check.exceptions import HealthCheckException, ServiceWarning
from health_check.views import HealthCheckView

from heists import conf
from heists.models import OutboxEmail

from .databases import REPLICA

logger = logging.getLogger(__name__)

# A check that takes longer has failed, a second later: django-health-check adds one.
TIMEOUT = dt.timedelta(seconds=2)
# Shared by all probes and never waited for, so that a database that does not answer holds these threads and no more.
THREADS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="health")


class Database(checks.Database):  # type: ignore[misc]
    """The database that is written answers. Without it no request can be served."""

    name = "database"
    required = True
    timeout = TIMEOUT


@dataclass
class Replica(Database):
    """The replica answers. Without it, reads go to the primary."""

    alias: str = REPLICA
    name = "replica"
    required = False


class Cache(checks.Cache):  # type: ignore[misc]
    """The cache keeps a value. Without it requests are not limited, and sums are computed again."""

    name = "cache"
    required = False


class Emails(HealthCheck):  # type: ignore[misc]
    """The oldest email due waits less than HEALTH_EMAIL_SECONDS, unless emails are turned off."""

    name = "emails"
    required = False
    timeout = TIMEOUT

    def run(self) -> None:
        """Raise ServiceWarning where an email has been due for too long."""
        if not conf.email_enabled():
            return
        using, now = router.db_for_write(OutboxEmail), timezone.now()
        due = OutboxEmail.objects.using(using).due(now).order_by("due_at").values_list("due_at", flat=True)
        # Closed at the end: no request ends in this thread.
        with connections[using].temporary_connection():
            oldest = due.first()
        waited = int((now - oldest).total_seconds()) if oldest else 0
        if waited > settings.HEALTH_EMAIL_SECONDS:
            raise ServiceWarning(f"the oldest email has been due for {waited} seconds")


class HealthView(HealthCheckView):  # type: ignore[misc]
    """Runs the checks, none of them here: this process takes requests."""

    checks: tuple[type[HealthCheck], ...] = ()
    http_method_names = ["get", "head"]

    @contextlib.contextmanager
    def get_executor(self) -> Iterator[Executor]:
        yield THREADS

    async def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer 503 where a required check fails; with `?strict`, where any does. Any `Accept` gets JSON."""
        with self.get_executor() as executor:
            self.results = await asyncio.gather(*(check.get_result(executor) for check in self.get_checks()))
        failed = [result for result in self.results if result.error]
        for result in failed:
            logger.warning("%s: %s", result.check.name, result.error)
        if request.GET.get("format") == "openmetrics":
            metrics: HttpResponse = self.render_to_response_openmetrics()
            return metrics
        broken = any(result.check.required for result in failed)
        body = {
            "status": "unavailable" if broken else "degraded" if failed else "ok",
            **{result.check.name: _state(result.error) for result in self.results},
        }
        rejected = broken or (failed and "strict" in request.GET)
        return JsonResponse(body, status=HTTPStatus.SERVICE_UNAVAILABLE if rejected else HTTPStatus.OK)


class ReadyView(HealthView):
    """Whether this host should get requests: the database answers. The rest is reported with it."""

    checks = (Database, Replica, Cache, Emails)

    def get_checks(self) -> list[HealthCheck]:
        return [check for check in super().get_checks() if REPLICA in connections or not isinstance(check, Replica)]


def _state(error: HealthCheckException | None) -> str:
    if error is None:
        return "ok"
    # The text of a warning is ours; that of an error may name a host.
    return error.message if isinstance(error, ServiceWarning) else "unavailable"
