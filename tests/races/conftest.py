from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from tests.conftest import HeistSettings


@pytest.fixture(params=["read committed", "serializable"])
def isolation(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """Use this isolation level on every connection of the test, in all threads."""
    from django.db.backends.postgresql.psycopg_any import IsolationLevel

    options = connection.settings_dict.setdefault("OPTIONS", {})
    connection.close()
    options["isolation_level"] = IsolationLevel[request.param.replace(" ", "_").upper()]
    yield request.param
    connection.close()
    del options["isolation_level"]


@pytest.fixture
def audited(transactional_db: None) -> Iterator[None]:
    """Run `audit_heists` after the test; differences fail it."""
    yield
    out = StringIO()
    try:
        call_command("audit_heists", stdout=out)
    except SystemExit:
        pytest.fail(out.getvalue())


@pytest.fixture
def no_cooldowns(heist_settings: HeistSettings) -> None:
    heist_settings(COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0, MAX_HEISTS_PER_DAY=1000)
