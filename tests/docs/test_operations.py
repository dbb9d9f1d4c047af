"""The commands and settings of docs/operations.md do what the page says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection

from config import checks
from tests import ROOT, servers
from tests.config.test_settings import PRODUCTION, read, run
from tests.factories import player
from tests.servers import POSTGRESQL

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def blocks(section: str, language: str) -> list[str]:
    text = PAGE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def variables(section: str) -> dict[str, str]:
    """The environment that the blocks of a section set."""
    lines = [line for block in blocks(section, "sh") for line in block.splitlines()]
    found = [re.fullmatch(r"([A-Z_]+)=\"?(.*?)\"?", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def test_the_settings_of_each_step_are_those_of_the_site(tmp_path: Path) -> None:
    environment = PRODUCTION | variables("One machine") | variables("Several web hosts") | variables("A replica")
    environment |= {"DATABASE_URL": variables("Several web hosts")["DATABASE_URL"]} | PRODUCTION

    databases, caches, heists = read(tmp_path, "DATABASES", "CACHES", "HEISTS", **environment)

    assert (databases["default"]["HOST"], databases["default"]["PORT"]) == ("10.0.0.3", 6432)
    assert databases["replica"]["HOST"] == "10.0.0.2"
    assert [databases[alias]["DISABLE_SERVER_SIDE_CURSORS"] for alias in databases] == [True, True]
    assert caches["default"]["LOCATION"] == ["redis://10.0.0.5:6379/1"]
    assert (heists["TRUSTED_PROXIES"], heists["SITE_URL"]) == (1, "https://heists.example.com")
    options = read(tmp_path, "DATABASES", **PRODUCTION, **variables("Fail-over"))["default"]["OPTIONS"]
    assert (options["host"], options["target_session_attrs"]) == ("10.0.0.1,10.0.0.2", "read-write")


def test_the_checks_are_listed() -> None:
    source = Path(checks.__file__).read_text(encoding="utf-8")
    ids = set(re.findall(r'id="(config\.\w+)"', source))

    assert ids == set(re.findall(r"^\| `(config\.\w+)` \|", PAGE, re.M))
    for message in re.findall(r'(?:Error|Warning)\(\s*"([^"]+)"', source):
        assert message in PAGE


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_the_numbers_to_watch_can_be_read() -> None:
    [queries] = blocks("Logs and metrics", "sql")

    with connection.cursor() as cursor:
        for query in queries.split(";")[:-1]:
            cursor.execute(query)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_back_up_is_restored_and_audited(tmp_path: Path) -> None:
    dump, restore, _base = blocks("Back-up and restore", "sh")
    player(points=50, tokens=1)
    name, url = connection.settings_dict["NAME"], urlsplit(os.environ["DATABASE_URL"])
    restored = f"{name}_restored"
    environ = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{POSTGRESQL}:{os.environ['PATH']}",
        "DATABASE_URL": url._replace(path=f"/{name}").geturl(),
        "RESTORED_URL": url._replace(path=f"/{restored}").geturl(),
        "PYTHONPATH": str(ROOT),
    }
    script = (dump + restore).replace("manage.py", str(ROOT / "manage.py"))
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{restored}"')
        try:
            done = subprocess.run(
                ["bash", "-eu", "-c", script], env=environ, cwd=tmp_path, capture_output=True, text=True, check=False
            )
        finally:
            cursor.execute(f'DROP DATABASE "{restored}" WITH (FORCE)')

    assert done.returncode == 0, done.stderr
    assert "no difference" in done.stdout


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for the data of servers, whose user can't read below `tmp_path`."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


def execute(port: int, statements: str) -> list[tuple[object, ...]]:
    """Run statements as a superuser, each in a transaction of its own; return the rows of the last."""
    with psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres", autocommit=True) as superuser:
        for statement in filter(str.strip, statements.split(";")):
            cursor = superuser.execute(statement)
        return cursor.fetchall() if cursor.description else []


def await_rows(port: int, query: str, rows: list[tuple[object, ...]]) -> None:
    until = time.monotonic() + servers.START_SECONDS
    while execute(port, query) != rows:
        assert time.monotonic() < until, query
        time.sleep(0.1)


def base_backup(section: str, port: int, data: Path) -> None:
    """Run the `pg_basebackup` of a section, with the server at this port and this folder in place of the page's."""
    [line] = [
        line for block in blocks(section, "sh") for line in block.splitlines() if line.startswith("pg_basebackup")
    ]
    program, *arguments = shlex.split(line.replace("10.0.0.1", "127.0.0.1"))
    arguments[arguments.index("-D") + 1] = str(data)
    servers.postgresql(program, "-p", str(port), *arguments)


def test_a_replica_catches_up_after_it_was_away(folder: Path) -> None:
    primary, replica = servers.free_port(), servers.free_port()
    servers.initdb(folder / "primary")
    with servers.postgres(folder / "primary", primary):
        execute(primary, blocks("Fail-over", "sql")[0])
        base_backup("Fail-over", primary, folder / "replica")
        # Without the slot, the primary would remove what the replica lacks.
        execute(primary, "CREATE TABLE moments (n int); SELECT pg_switch_wal(); CHECKPOINT")
        for number in range(3):
            execute(primary, f"INSERT INTO moments VALUES ({number}); SELECT pg_switch_wal(); CHECKPOINT")

        with servers.postgres(folder / "replica", replica):
            await_rows(primary, "SELECT application_name, state FROM pg_stat_replication", [("one", "streaming")])
            await_rows(replica, "SELECT count(*) FROM moments", [(3,)])
            found = {"DATABASE_URL": primary, "REPLICA_URL": replica}
            urls = {name: f"postgres://postgres@127.0.0.1:{port}/postgres" for name, port in found.items()}
            done = run(folder, "manage.py", "check", "--database", "default", **PRODUCTION, **urls)
            assert "config." not in done.stderr, done.stderr


def test_any_moment_can_be_restored(folder: Path) -> None:
    port = servers.free_port()
    [archiving], [lines] = blocks("Back-up and restore", "sql"), blocks("Back-up and restore", "ini")
    servers.initdb(folder / "primary")
    with servers.postgres(folder / "primary", port):
        execute(port, blocks("Fail-over", "sql")[0])
        execute(port, archiving.replace("/archive", f"{folder}/archive").replace("60s", "1s"))
    (folder / "archive").mkdir()
    (folder / "archive").chmod(0o777)
    with servers.postgres(folder / "primary", port):
        base_backup("Back-up and restore", port, folder / "base")
        execute(port, "CREATE TABLE moments (n int); INSERT INTO moments VALUES (1)")
        [[moment]] = execute(port, "SELECT now()::text")
        execute(port, "INSERT INTO moments VALUES (2)")
        [[segment]] = execute(port, "SELECT pg_walfile_name(pg_current_wal_lsn())")
        await_rows(port, f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver", [(True,)])

    lines = lines.replace("/archive", f"{folder}/archive").replace("2026-11-27 14:30:00+00", str(moment))
    with (folder / "base" / "postgresql.auto.conf").open("a") as settings:
        settings.write(lines)
    (folder / "base" / "recovery.signal").touch()
    with servers.postgres(folder / "base", port):
        await_rows(port, "SELECT pg_is_in_recovery()", [(False,)])
        assert execute(port, "SELECT n FROM moments") == [(1,)]
