"""`/healthz/` and `/readyz/`, also while the database or the cache is away."""

from __future__ import annotations

import datetime as dt
import logging
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from config import health
from config.settings import redis_cache
from heists.models import OutboxEmail
from tests.conftest import HeistSettings
from tests.factories import player

READY = {"status": "ok", "database": "ok", "cache": "ok", "emails": "ok"}
PASSWORD = "nobody-may-read-this"


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give each test threads of its own: a thread keeps the databases that it knows."""
    with ThreadPoolExecutor() as executor:
        monkeypatch.setattr(health, "THREADS", executor)
        yield


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def lines() -> Iterator[list[logging.LogRecord]]:
    """The records that the site's handlers get."""
    handler = Lines()
    loggers = [logging.getLogger(name) for name in ("", "django")]
    for logger in loggers:
        logger.addHandler(handler)
    yield handler.records
    for logger in loggers:
        logger.removeHandler(handler)


def listener(*, silent: bool) -> socket.socket:
    """A port where nothing listens, or where connections are accepted and never answered."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    if silent:
        server.listen()
    return server


@pytest.fixture(params=["down", "silent"])
def broken_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The checks connect to a PostgreSQL that refuses connections, or does not answer."""
    for check in (health.Database, health.Emails):
        monkeypatch.setattr(check, "timeout", dt.timedelta(0))
    with listener(silent=request.param == "silent") as server:
        away = connections["default"].settings_dict | {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "heists",
            "HOST": "127.0.0.1",
            "PORT": server.getsockname()[1],
            "USER": "somebody",
            "PASSWORD": PASSWORD,
            "OPTIONS": {"connect_timeout": 2},
        }
        monkeypatch.setitem(connections.settings, "default", away)
        yield


def waiting_email(due: dt.timedelta) -> None:
    """Make an email that became due so long ago."""
    # Who earns a token is told by email.
    player(tokens=1, email="anna@example.com")
    email = OutboxEmail.objects.latest("pk")
    email.due_at = timezone.now() - due
    email.save()


@pytest.mark.django_db
def test_a_site_that_works_is_ready(client: Client, lines: list[logging.LogRecord]) -> None:
    answer = client.get("/readyz/")

    assert (answer.status_code, answer.json()) == (200, READY)
    assert "no-store" in answer["Cache-Control"]
    assert lines == []


def test_a_process_that_answers_is_alive_without_a_database(client: Client, broken_database: None) -> None:
    # pytest-django raises where a test without a mark uses the database.
    answer = client.get("/healthz/")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_without_the_database_it_is_not_ready(
    client: Client, broken_database: None, lines: list[logging.LogRecord]
) -> None:
    started = time.monotonic()
    answer = client.get("/readyz/")

    assert answer.status_code == 503
    assert answer.json() == {
        "status": "unavailable",
        "database": "unavailable",
        "cache": "ok",
        "emails": "unavailable",
    }
    # The database is given two seconds to accept a connection, but not waited for. The rest is for a busy machine.
    assert time.monotonic() - started < 1.9
    assert [(line.levelname, line.name, line.exc_info) for line in lines] == [("WARNING", "config.health", None)] * 2
    assert PASSWORD not in "".join(line.getMessage() for line in lines)


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.django_db
def test_without_the_cache_it_is_degraded(client: Client, settings: Any, silent: bool) -> None:
    with listener(silent=silent) as server:
        settings.CACHES = {"default": redis_cache(f"redis://127.0.0.1:{server.getsockname()[1]}/1")}
        answer, strict = client.get("/readyz/"), client.get("/readyz/?strict")

    assert (answer.status_code, strict.status_code) == (200, 503)
    assert answer.json() == strict.json() == READY | {"status": "degraded", "cache": "unavailable"}


@pytest.mark.django_db(transaction=True)
def test_an_email_that_waits_for_long_is_a_warning(client: Client, settings: Any) -> None:
    settings.HEALTH_EMAIL_SECONDS = 60
    waiting_email(dt.timedelta(seconds=30))
    recent = client.get("/readyz/?strict")
    waiting_email(dt.timedelta(seconds=90))
    waiting_email(dt.timedelta(seconds=-90))
    answer, strict = client.get("/readyz/"), client.get("/readyz/?strict")

    assert (recent.status_code, recent.json()) == (200, READY)
    assert (answer.status_code, strict.status_code) == (200, 503)
    assert answer.json()["status"] == "degraded"
    assert answer.json()["emails"].startswith("the oldest email has been due for 9")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("seconds", "status"), [(60, 200), (61, 503)])
def test_an_email_may_wait_as_long_as_the_setting_says(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch, seconds: int, status: int
) -> None:
    settings.HEALTH_EMAIL_SECONDS = 60
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    waiting_email(dt.timedelta(seconds=seconds))

    assert client.get("/readyz/?strict").status_code == status


@pytest.mark.django_db(transaction=True)
def test_emails_that_are_turned_off_may_wait(client: Client, heist_settings: HeistSettings) -> None:
    waiting_email(dt.timedelta(days=1))
    heist_settings(EMAIL_ENABLED=False)

    assert client.get("/readyz/").json() == READY


@pytest.mark.django_db(transaction=True)
def test_a_check_closes_its_connections(client: Client) -> None:
    opened: list[Any] = []
    with ThreadPoolExecutor(1, initializer=lambda: opened.append(connections["default"])) as one:
        health.THREADS = one
        client.get("/readyz/")
        assert one.submit(lambda: connections["default"].connection).result() is None

    assert len(opened) == 1


@pytest.mark.parametrize("path", ["/healthz/", "/readyz/"])
@pytest.mark.django_db
def test_a_probe_is_not_redirected_to_https(path: str, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True

    assert Client().get(path).status_code == 200
    assert Client().get("/").status_code == 301


@pytest.mark.parametrize("accept", ["text/html", "nonsense", "", "application/xml;q=2", "*/*"])
@pytest.mark.django_db
def test_every_probe_gets_json(client: Client, accept: str) -> None:
    answer = client.get("/readyz/?format=atom", headers={"accept": accept})

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
def test_a_probe_reads(client: Client, method: str) -> None:
    assert getattr(client, method)("/healthz/").status_code == 405


@pytest.mark.django_db
def test_each_check_is_a_metric(client: Client, settings: Any) -> None:
    with listener(silent=False) as server:
        settings.CACHES = {"default": redis_cache(f"redis://127.0.0.1:{server.getsockname()[1]}/1")}
        answer = client.get("/readyz/?format=openmetrics")

    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (200, "application/openmetrics-text")
    text = answer.content.decode()
    assert 'django_health_check_status{check="Database",alias="default"} 1' in text
    assert 'django_health_check_status{check="Cache",alias="default"} 0' in text
    assert 'django_health_check_status{check="Emails"} 1' in text
    assert str(server) not in text


def test_a_host_that_is_not_allowed_is_rejected(client: Client) -> None:
    assert client.get("/healthz/", headers={"host": "10.0.0.7"}).status_code == 400
