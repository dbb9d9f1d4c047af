"""`make run` on a database that it did not make says what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from django.db import connection

from config import demo
from tests.config.test_settings import read, run


@pytest.fixture(scope="module")
def old_var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("var")
    done = run(folder, "manage.py", "migrate", "--verbosity=0", DEBUG="true")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("ALTER TABLE heists_shield RENAME TO heists_armour", "there is no table heists_shield"),
        ("ALTER TABLE heists_heist ADD COLUMN loot integer", "table heists_heist still has the column loot"),
        ("ALTER TABLE heists_heist RENAME COLUMN token_spent TO paid", "table heists_heist still has the column paid"),
        ("DELETE FROM django_migrations WHERE app = 'heists'", "already exists"),
        ("DELETE FROM django_migrations WHERE app = 'auth'", "is applied before its dependency"),
    ],
)
def test_a_database_of_another_version_is_named_in_one_sentence(
    old_var: Path, tmp_path: Path, change: str, reason: str
) -> None:
    database = tmp_path / "db.sqlite3"
    database.write_bytes((old_var / "db.sqlite3").read_bytes())
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(change)

    done = run(tmp_path, "-m", "config.demo", DEBUG="true")

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"The database {database} was made by another version of the site (")
    assert reason in done.stderr
    assert done.stderr.endswith(f"delete {tmp_path}, or name another database with DATABASE_URL.\n")


@pytest.mark.parametrize(
    ("environment", "site"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"PORT": "8123"}, "http://127.0.0.1:8123"),
        ({"HOST": "0.0.0.0", "PORT": "8123"}, "http://localhost:8123"),  # noqa: S104
    ],
)
def test_its_addresses_and_the_links_of_its_emails_are_where_it_listens(
    tmp_path: Path, environment: dict[str, str], site: str
) -> None:
    url, heists = read(tmp_path, "RUN_URL", "HEISTS", DEBUG="true", **environment)

    assert (url, heists["SITE_URL"]) == (site, site)


def test_it_prints_its_addresses_and_how_to_send_its_emails(old_var: Path, tmp_path: Path) -> None:
    database = tmp_path / "db.sqlite3"
    database.write_bytes((old_var / "db.sqlite3").read_bytes())
    # A database with users is not filled.
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        columns = "username, password, first_name, last_name, email, is_superuser, is_staff, is_active, date_joined"
        connection.execute(f"INSERT INTO auth_user ({columns}) VALUES ('bo', '', '', '', '', 0, 0, 1, '2026-01-01')")

    done = run(tmp_path, "-m", "config.demo", DEBUG="true", PORT="8123")

    assert done.returncode == 0, done.stderr
    for line in (
        "  site   http://127.0.0.1:8123/\n",
        "  admin  http://127.0.0.1:8123/admin/\n",
        "DEBUG=true HEIST_SITE_URL=http://127.0.0.1:8123 .venv/bin/python manage.py send_heist_emails\n",
    ):
        assert line in done.stdout


@pytest.mark.django_db
def test_the_tables_of_this_version_have_no_differences() -> None:
    assert list(demo.differences(connection)) == []
