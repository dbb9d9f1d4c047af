"""The checks of `manage.py check --database default`: what the environment names answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from config import checks
from config.databases import POSTGRESQL, REPLICA
from config.settings import redis_cache
from tests.config.test_databases import add_replica
from tests.config.test_health import listener
from tests.config.test_settings import PRODUCTION, run

DEFAULT = ["default"]


def test_a_database_that_does_not_answer_is_a_sentence(tmp_path: Path) -> None:
    with listener(silent=False) as server:
        url = f"postgres://somebody:secret@127.0.0.1:{server.getsockname()[1]}/heists"
        done = run(tmp_path, "manage.py", "check", "--database", "default", DATABASE_URL=url, **PRODUCTION)

    assert done.returncode == 1
    assert "(config.E001) The database of DATABASE_URL does not answer." in done.stderr
    assert "Traceback" not in done.stderr and "secret" not in done.stderr and "somebody" not in done.stderr


@pytest.mark.django_db
def test_a_database_that_answers_is_silent() -> None:
    assert [*checks.check_databases(databases=DEFAULT), *checks.check_cache(databases=DEFAULT)] == []


def test_nothing_is_asked_without_the_option() -> None:
    assert [*checks.check_databases(databases=None), *checks.check_cache(databases=None)] == []


@pytest.mark.postgresql
@pytest.mark.django_db
def test_a_replica_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    # The test database is its own replica; tests/docs/test_operations.py has a real one.
    monkeypatch.setattr(checks, "IS_REPLICA", "SELECT true")
    with listener(silent=False) as server:
        away = {"ENGINE": POSTGRESQL, "HOST": "127.0.0.1", "PORT": server.getsockname()[1], "OPTIONS": {}}
        for changes in ({}, {"NAME": "template1"}, away):
            add_replica(monkeypatch, **changes)
            found.append([message.id for message in checks.check_databases(databases=DEFAULT)])
            connections[REPLICA].close()
            del connections[REPLICA]

    assert found == [[], ["config.E002"], ["config.W002"]]


@pytest.mark.postgresql
@pytest.mark.django_db
def test_a_server_that_takes_writes_is_no_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    add_replica(monkeypatch)
    [warning] = checks.check_databases(databases=DEFAULT)
    connections[REPLICA].close()
    del connections[REPLICA]

    assert warning.id == "config.W004"


@pytest.mark.postgresql
@pytest.mark.django_db
@pytest.mark.parametrize(("disabled", "ids"), [(False, ["config.W001"]), (True, [])])
def test_a_pooler_needs_its_setting(disabled: bool, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # A pooler's clients see another process id; tests/cluster has a real one.
    monkeypatch.setattr(checks, "PID", "SELECT 0")
    monkeypatch.setitem(connections["default"].settings_dict, "DISABLE_SERVER_SIDE_CURSORS", disabled)

    assert [message.id for message in checks.check_databases(databases=DEFAULT)] == ids


def test_a_cache_that_does_not_answer_is_a_warning(settings: Any) -> None:
    with listener(silent=False) as server:
        settings.CACHES = {"default": redis_cache(f"redis://127.0.0.1:{server.getsockname()[1]}/1")}
        [warning] = checks.check_cache(databases=DEFAULT)

    assert warning.id == "config.W003"
