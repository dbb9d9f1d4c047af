"""A pytest plugin: the test database is a copy of one that was made before, or the one that later runs copy.

`--reuse-db` alone does not do: each run has a folder of its own, and a run that was killed leaves rows behind.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

TEMPLATE = "MUTANTS_SQLITE"
SAVE = "MUTANTS_SAVE"


def here() -> Path:
    # As tests/conftest.py names it, without xdist.
    return Path(os.environ["VAR_DIR"]) / "test-only.sqlite3"


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests() -> Generator[None, Any, Any]:
    if (template := os.environ.get(TEMPLATE)) and Path(template).exists():
        shutil.copyfile(template, here())
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    if (template := os.environ.get(SAVE)) and here().exists():
        with closing(sqlite3.connect(here())) as source, closing(sqlite3.connect(template)) as target:
            source.backup(target)
