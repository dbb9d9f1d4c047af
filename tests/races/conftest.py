from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection


@pytest.fixture(params=["read committed", "serializable"])
def isolation(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """Every connection of the test, those of the rivals too, at this isolation level."""
    from psycopg import IsolationLevel

    options = connection.settings_dict.setdefault("OPTIONS", {})
    connection.close()
    options["isolation_level"] = IsolationLevel[request.param.replace(" ", "_").upper()]
    yield request.param
    connection.close()
    del options["isolation_level"]


@pytest.fixture
def audited(transactional_db: None) -> Iterator[None]:
    """The data are right at the end of the test."""
    yield
    out = StringIO()
    try:
        call_command("audit_heists", stdout=out)
    except SystemExit:
        pytest.fail(out.getvalue())


@pytest.fixture
def no_windows(settings: Any) -> None:
    settings.HEISTS = settings.HEISTS | {"COOLDOWN_HOURS": 0, "TARGET_COOLDOWN_HOURS": 0, "MAX_HEISTS_PER_DAY": 1000}
