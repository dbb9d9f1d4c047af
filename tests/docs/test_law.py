"""docs/law.md names only what exists, and leaves out no constraint and no audit code."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from django.apps import apps
from django.db import connection

from heists.audit import CHECKS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "law.md"
POSTGRESQL_ONLY = "*(PostgreSQL)*"


class Row(NamedTuple):
    """One promise, with the cells of its row."""

    promise: str
    constraints: str
    code: str
    tests: str
    audit: str


def rows() -> list[Row]:
    lines = re.findall(r"^\|(.+)\|$", PAGE.read_text(encoding="utf-8"), re.M)
    found = [Row(*(cell.strip() for cell in line.split("|"))) for line in lines]
    return [row for row in found if row.promise not in ("Promise", "---")]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


ROWS = rows()


def enforced_by_this_database() -> set[str]:
    """The names of its constraints, unique indexes and triggers."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT conname::text FROM pg_constraint UNION SELECT tgname::text FROM pg_trigger "
                "UNION SELECT indexname::text FROM pg_indexes"
            )
            return {name for (name,) in cursor.fetchall()}
        cursor.execute("SELECT name, sql FROM sqlite_master")
        found = cursor.fetchall()
    checks = {name for _name, sql in found for name in re.findall(r'CONSTRAINT "(\w+)"', sql or "")}
    return checks | {name for name, _sql in found}


def test_there_is_something_to_look_at() -> None:
    assert len(ROWS) > 40
    assert all(row.promise and names(row.tests) for row in ROWS)


@pytest.mark.django_db
def test_every_constraint_and_trigger_exists() -> None:
    existing = enforced_by_this_database()

    for row in ROWS:
        if connection.vendor == "postgresql" or POSTGRESQL_ONLY not in row.constraints:
            assert set(names(row.constraints)) <= existing, row.promise


def test_every_rule_and_service_exists() -> None:
    for row in ROWS:
        for path in names(row.code):
            assert pkgutil.resolve_name(path) is not None, row.promise


def test_every_test_exists() -> None:
    for row in ROWS:
        for name in names(row.tests):
            path, _, function = name.partition("::")
            assert (ROOT / path).is_file(), name
            assert re.search(rf"^ *def {function}\(", (ROOT / path).read_text(encoding="utf-8"), re.M), name


def test_every_audit_code_exists() -> None:
    codes = {check.code for check in CHECKS}

    for row in ROWS:
        assert set(names(row.audit)) <= codes, row.promise


def test_no_audit_code_is_left_out() -> None:
    listed = {name for row in ROWS for name in (*names(row.constraints), *names(row.audit))}

    assert {check.code for check in CHECKS} - listed == set()


def test_no_constraint_is_left_out() -> None:
    listed = {name for row in ROWS for name in names(row.constraints)}

    assert set(constraints()) - listed == set()


def constraints() -> Iterator[str]:
    for label in ("heists", "gamification"):
        for model in apps.get_app_config(label).get_models():
            yield from (constraint.name for constraint in model._meta.constraints)
