"""Parts of `python -m tests.cluster`, which `make cluster` runs as a whole."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from django.db import connection

from config import checks
from tests import servers
from tests.cluster import __main__ as cluster


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["cluster"])
    monkeypatch.setattr(cluster, "find", lambda name: None)

    assert cluster.main() == 2
    assert capsys.readouterr().err == "pgbouncer is needed (Debian: apt-get install pgbouncer).\n"


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_pgbouncer_is_found_to_be_a_pooler(monkeypatch: pytest.MonkeyPatch) -> None:
    if servers.find("pgbouncer") is None:
        pytest.skip("the test of the pooler needs pgbouncer")
    connection.ensure_connection()
    info, port = connection.connection.info, servers.free_port()
    if info.host.startswith("/") and servers.USER:
        # A socket in the folder of the server's own user.
        monkeypatch.setattr(servers, "USER", Path(info.host).owner())

    # The server's user, who can't read below `tmp_path`, runs PgBouncer.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with (
            servers.pgbouncer(Path(folder), port, info.port, host=info.host, user=info.user),
            psycopg.connect(host="127.0.0.1", port=port, user=info.user, dbname=info.dbname) as pooled,
        ):
            assert is_pooled(pooled) is True
    assert is_pooled(connection.connection) is False


def is_pooled(raw: Any) -> bool:
    class Wrapper:
        connection = raw
        cursor = raw.cursor

    return checks._is_pooled(Wrapper())
