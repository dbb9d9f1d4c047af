"""A server that dies behind PgBouncer, at a chosen moment."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.db import connection

from heists import conf
from heists.choices import HeistStatus
from heists.models import Heist, RuleSet
from heists.services import execute_heist
from tests import servers
from tests.factories import player, points_of, tokens_of
from tests.races.staging import connection_parameters

pytestmark = [pytest.mark.postgresql, pytest.mark.usefixtures("transactional_db")]

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
# CommandComplete, then ReadyForQuery in a transaction.
BEGUN, READY = b"C\0\0\0\x0aBEGIN\0", b"Z\0\0\0\x05T"


def relay(pooler: socket.socket, target: dict[str, Any], died: threading.Event) -> None:
    """Copy bytes between PgBouncer and the server, which dies in the middle of its answer to the first BEGIN."""
    host, port = target.get("host", "127.0.0.1"), target.get("port", "5432")
    local = host.startswith("/")
    upstream = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
    # Either side may close first.
    with contextlib.suppress(OSError), pooler, upstream as server:
        server.connect(f"{host}/.s.PGSQL.{port}" if local else (host, int(port)))
        while True:
            for source in select.select([pooler, server], [], [])[0]:
                data = source.recv(65536)
                if not data:
                    return
                if data == SSL_REQUEST:
                    # Unencrypted, so that the relay can read what passes.
                    pooler.sendall(b"N")
                elif source is server and data.endswith(BEGUN + READY) and not died.is_set():
                    died.set()
                    pooler.sendall(data.removesuffix(READY))
                    return
                else:
                    (server if source is pooler else pooler).sendall(data)


@pytest.fixture
def dies_while_beginning(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The server dies while it answers the next BEGIN; PgBouncer's message follows the half answer."""
    if servers.find("pgbouncer") is None:
        pytest.skip("a server that dies behind a pooler needs pgbouncer")
    RuleSet.objects.in_force(conf.rules())
    target, user = connection_parameters(), connection.connection.info.user
    connection.close()
    died, port = threading.Event(), servers.free_port()
    # Not `tmp_path`, because the user who runs PgBouncer can't read below it.
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        TemporaryDirectory() as name,
        monkeypatch.context() as patch,
    ):
        folder = Path(name)
        folder.chmod(0o755)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=relay, args=[listener.accept()[0], target, died], daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        with servers.pgbouncer(folder, port, listener.getsockname()[1], user=user):
            options = {
                key: value
                for key, value in connection.settings_dict.get("OPTIONS", {}).items()
                if key not in ("server_side_binding", "prepare_threshold")
            }
            for key, value in (
                ("HOST", "127.0.0.1"),
                ("PORT", str(port)),
                ("OPTIONS", options),
                ("DISABLE_SERVER_SIDE_CURSORS", True),
            ):
                patch.setitem(connection.settings_dict, key, value)
            yield
            connection.close()
        listener.shutdown(socket.SHUT_RDWR)
    assert died.is_set()


def test_a_server_that_dies_while_a_transaction_begins_is_retried(request: pytest.FixtureRequest) -> None:
    alice, bob = player(tokens=2), player(points=1000)
    request.getfixturevalue("dies_while_beginning")

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert heist.status == HeistStatus.SUCCESS
    assert (points_of(bob), tokens_of(alice).balance, Heist.objects.count()) == (950, 1, 1)
