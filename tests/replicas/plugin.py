"""`python -m pytest --stale-replica`: every test once more, under a router whose replica always lags.

A test fails where a read that decides or answers a write goes to the replica. Reads that may lag are not concerned;
docs/integrating.md lists them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stale-replica", action="store_true", help="Run under a router whose replica always lags.")


@pytest.fixture(autouse=True)
def stale_replica(request: pytest.FixtureRequest) -> Iterator[None]:
    if not request.config.option.stale_replica:
        yield
        return
    from django.test import override_settings

    from tests.replicas.router import StrictRouter

    StrictRouter.misread.clear()
    with override_settings(DATABASE_ROUTERS=["tests.replicas.router.StrictRouter"]):
        yield
    assert StrictRouter.misread == []
