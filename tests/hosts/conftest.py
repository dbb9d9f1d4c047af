from __future__ import annotations

import pytest

from .project import host_database

__all__ = ["host_database"]

# Sources of projects that the tests here start; nothing to collect in this process.
collect_ignore_glob = ["*/*"]


def pytest_make_parametrize_id(config: pytest.Config, val: object) -> str | None:
    return val if isinstance(val, str) else None
