"""DATABASE_URL, REPLICA_URL, and which reads go to the replica, also while it is away."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.http import HttpResponse
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from config import databases, health
from gamification.models import PlayerProfile
from heists.models import Heist
from tests.config.test_health import listener
from tests.config.test_settings import PRODUCTION, read, run
from tests.factories import player

PRIMARY = "postgres://somebody:secret@10.0.0.1/heists?target_session_attrs=read-write"


@pytest.mark.parametrize(
    "url",
    [
        "localhost:5432",
        "postgres://somebody:secret@localhost:port/heists",
        "postgres://somebody:secret@localhost",
        "postgres://[::1/heists",
        "mysql://somebody:secret@localhost/heists",
        "secret",
    ],
)
def test_a_url_that_names_no_database_stops_the_start(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    with pytest.raises(ImproperlyConfigured) as raised:
        databases.database("DATABASE_URL")

    sentence = "DATABASE_URL names no database; write it like postgres://user@localhost:5432/heists."
    assert str(raised.value) == sentence


def test_a_replica_is_read_like_the_primary(tmp_path: Path) -> None:
    environment = PRODUCTION | {"DATABASE_URL": PRIMARY, "REPLICA_URL": "postgres://reader@10.0.0.2/heists"}
    names = ("DATABASES", "DATABASE_ROUTERS", "MIDDLEWARE")

    found, routers, middleware = read(tmp_path, *names, DATABASE_DISABLE_SERVER_SIDE_CURSORS="true", **environment)

    replica = found["replica"]
    assert (replica["HOST"], replica["USER"], replica["PASSWORD"]) == ("10.0.0.2", "reader", "")
    assert (replica["DISABLE_SERVER_SIDE_CURSORS"], replica["CONN_HEALTH_CHECKS"]) == (True, True)
    assert replica["OPTIONS"] == {"connect_timeout": 2}
    assert found["default"]["OPTIONS"] == {"connect_timeout": 5, "target_session_attrs": "read-write"}
    assert routers == ["config.databases.ReplicaRouter"]
    assert middleware[-1] == "config.databases.ReplicaMiddleware"


def test_sqlite_has_no_replica(tmp_path: Path) -> None:
    done = run(tmp_path, "manage.py", "check", REPLICA_URL="postgres://reader@10.0.0.2/heists", **PRODUCTION)

    assert done.returncode == 1
    assert "REPLICA_URL needs a PostgreSQL in DATABASE_URL" in done.stderr


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "_retry_at", 0.0)


def add_replica(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Add a second alias: the test database with these changes."""
    monkeypatch.setitem(connections.settings, databases.REPLICA, connections["default"].settings_dict | changes)
    wrapper = connections[databases.REPLICA]

    def ensure_connection() -> None:
        if wrapper.connection is None:
            with wrapper.wrap_database_errors:
                wrapper.connect()

    # Django's tests forbid a database that was not there when they began.
    monkeypatch.setattr(wrapper, "ensure_connection", ensure_connection)


def use_replica(settings: Any, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    add_replica(monkeypatch, **changes)
    settings.DATABASE_ROUTERS = ["config.databases.ReplicaRouter"]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "config.databases.ReplicaMiddleware"]


@pytest.fixture
def replica(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test database under a second alias."""
    use_replica(settings, monkeypatch)
    yield
    connections[databases.REPLICA].close()
    del connections[databases.REPLICA]


@pytest.fixture
def replica_away(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A replica that refuses connections."""
    with listener(silent=False) as server:
        use_replica(
            settings,
            monkeypatch,
            ENGINE=databases.POSTGRESQL,
            HOST="127.0.0.1",
            PORT=server.getsockname()[1],
            OPTIONS={"connect_timeout": 2},
        )
        yield
    del connections[databases.REPLICA]


def aliases(method: str, path: str) -> list[str]:
    """Where a request reads a heist, a balance and a user, and where it writes a heist."""
    found: list[str] = []

    def view(request: Any) -> HttpResponse:
        found.extend(router.db_for_read(model) for model in (Heist, PlayerProfile, User))
        found.append(router.db_for_write(Heist))
        return HttpResponse()

    databases.ReplicaMiddleware(view)(RequestFactory().generic(method, path))
    return found


@pytest.mark.parametrize(
    ("method", "path", "alias"),
    [
        ("GET", "/api/heists/", "replica"),
        ("HEAD", "/api/leaderboard/", "replica"),
        ("GET", "/admin/heists/heist/dashboard/", "replica"),
        ("POST", "/api/heists/", "default"),
        ("DELETE", "/api/heists/truce/", "default"),
        ("GET", "/admin/heists/heist/", "default"),
        ("GET", "/", "default"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_reads_of_get_requests_go_to_the_replica(method: str, path: str, alias: str, replica: None) -> None:
    assert aliases(method, path) == [alias, alias, "default", "default"]
    # After the request, and in commands.
    assert router.db_for_read(Heist) == "default"


@pytest.mark.django_db(transaction=True)
def test_the_api_reads_from_the_replica(replica: None, api: APIClient, django_assert_num_queries: Any) -> None:
    api.force_authenticate(player(points=50))

    with django_assert_num_queries(0):
        answer = api.get("/api/leaderboard/")
    with django_assert_num_queries(0, connection=connections[databases.REPLICA]):
        api.post("/api/heists/", {"victim": 10**9})

    assert [row["monthly_points"] for row in answer.json()["results"]] == [50]


@pytest.mark.django_db(transaction=True)
def test_a_replica_that_is_away_is_left_alone_for_a_while(
    replica_away: None, api: APIClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr("config.databases.time.monotonic", lambda: now)
    api.force_authenticate(player(points=50))

    answers = [api.get("/api/leaderboard/") for _ in range(3)]
    now += databases.RETRY_SECONDS
    api.get("/api/leaderboard/")

    assert [answer.status_code for answer in answers] == [200] * 3
    lines = [line.getMessage() for line in caplog.records if line.levelno >= logging.WARNING]
    assert ["the replica does not answer, reads go to the primary" in line for line in lines] == [True, True]


@pytest.mark.django_db(transaction=True)
def test_a_site_is_ready_without_its_replica_and_says_so(
    replica_away: None, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A thread that keeps no database of an earlier test.
    with ThreadPoolExecutor() as threads:
        monkeypatch.setattr(health, "THREADS", threads)
        answer = client.get("/readyz/")

    assert answer.status_code == 200
    assert answer.json() | {"status": "degraded", "replica": "unavailable"} == answer.json()


@pytest.mark.django_db(transaction=True)
def test_a_replica_that_dies_during_a_request_is_a_503(
    replica_away: None, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "replica_answers", lambda: True)
    api.force_authenticate(player(points=50))

    answer = api.get("/api/leaderboard/")

    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert int(answer["Retry-After"]) > 0


def test_nothing_is_migrated_on_a_replica() -> None:
    assert [databases.ReplicaRouter().allow_migrate(alias, "heists") for alias in ("default", "replica")] == [
        True,
        False,
    ]
