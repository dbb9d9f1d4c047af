"""The endpoints on the production server, with clients that keep their connection and never pause."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import psutil
from django.contrib.auth import get_user_model
from knox.models import AuthToken

from heists.conf import rules
from heists.models import RuleSet

from . import raw
from .world import Recruits, veterans

CLIENTS = (1, 8, 32)
ROUNDS = 3
# The number of clients that the targets are about.
COMPARED = 8
BARE, DISTINCT, HOT = "bare", "rob, distinct pairs", "rob, one hot victim"
READS = {
    BARE: "/bare/",
    "balance": "/api/heists/token/",
    "me": "/api/heists/me/",
    "feed": "/api/heists/notifications/",
    "history": "/api/heists/",
    "targets": "/api/heists/targets/",
}
READERS = 16


class Call(NamedTuple):
    """One request, and the statuses that it may be answered with."""

    method: str
    path: str
    token: str
    body: dict[str, Any] | None = None
    right: tuple[int, ...] = (200,)


class Run(NamedTuple):
    """The result of one endpoint's requests in one round; `taken` has the milliseconds of each."""

    per_second: float
    cpu_ms: float
    errors: int
    taken: list[float]


def measure(url: str, *, requests: int) -> dict[str, Any]:
    """Return requests a second, latencies, errors and CPU of each endpoint, for 1, 8 and 32 clients.

    The endpoints and the raw SQL take turns, round by round: a busy moment of the machine affects all alike.
    """
    recruits = Recruits()
    readers = [(key, _token(key)) for key in veterans(READERS * 2)[:READERS]]
    rounds: dict[int, list[dict[str, Run]]] = {clients: [] for clients in CLIENTS}
    raw_per_second = []
    with _gunicorn() as (server, port):
        for _round in range(ROUNDS):
            for clients in CLIENTS:
                calls = _calls(recruits, readers, max(requests // ROUNDS, clients))
                rounds[clients].append({what: _run(what, server, port, clients, some) for what, some in calls.items()})
                if clients == COMPARED:
                    raw_per_second.append(_raw_per_second(url, recruits, max(requests // ROUNDS, clients)))
    runs = [_figures(what, clients, some) for clients, some in rounds.items() for what in some[0]]
    robberies = [some[DISTINCT].per_second for some in rounds[COMPARED]]
    return {
        "runs": runs,
        "raw_per_second": round(median(raw_per_second), 1),
        "x_raw": round(median(ours / bare for ours, bare in zip(robberies, raw_per_second, strict=True)), 3),
    }


def _calls(recruits: Recruits, readers: list[tuple[int, str]], count: int) -> dict[str, list[Call]]:
    """Return `count` requests to each endpoint, by name."""
    aims = [(path, token) for (key, token), path in zip(readers, _targets(readers), strict=True)]
    attackers, (hot,) = recruits.take(count), recruits.take(1)
    return {
        **{name: _gets(path, readers, count) for name, path in READS.items()},
        "preview": [_get(*aims[n % len(aims)]) for n in range(count)],
        DISTINCT: [_rob(attacker, victim, (201,)) for attacker, victim in recruits.pairs(count)],
        HOT: [_rob(attacker, hot, (201, 409)) for attacker in attackers],
    }


def _figures(what: str, clients: int, rounds: list[dict[str, Run]]) -> dict[str, Any]:
    """Return the figures of one endpoint: medians of its rounds, and quantiles of all its requests."""
    runs = [some[what] for some in rounds]
    taken = [ms for run in runs for ms in run.taken]
    cuts = quantiles(taken, n=100, method="inclusive")
    return {
        "what": what,
        "clients": clients,
        "per_second": round(median(run.per_second for run in runs), 1),
        "p50_ms": round(cuts[49], 2),
        "p95_ms": round(cuts[94], 2),
        "p99_ms": round(cuts[98], 2),
        "errors": sum(run.errors for run in runs),
        "cpu_ms": round(median(run.cpu_ms for run in runs), 2),
        "x_bare": round(median(some[what].cpu_ms / (some[BARE].cpu_ms or 1) for some in rounds), 2),
    }


def _token(player: int) -> str:
    return str(AuthToken.objects.create(user=get_user_model().objects.get(pk=player))[1])


def _targets(readers: list[tuple[int, str]]) -> list[str]:
    return [f"/api/heists/targets/{readers[n - 1][0]}/" for n in range(len(readers))]


def _get(path: str, token: str) -> Call:
    return Call("GET", path, token)


def _gets(path: str, readers: list[tuple[int, str]], count: int) -> list[Call]:
    return [_get(path, readers[n % len(readers)][1]) for n in range(count)]


def _rob(attacker: int, victim: int, right: tuple[int, ...]) -> Call:
    return Call("POST", "/api/heists/", _token(attacker), {"victim": victim}, right)


@contextlib.contextmanager
def _gunicorn() -> Iterator[tuple[psutil.Process, int]]:
    """Start the server as `make serve` does, and stop it afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "HOST": "127.0.0.1", "PORT": str(port)}
    log = Path(os.environ["VAR_DIR"]) / "gunicorn.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--config", "config/gunicorn.conf.py", "config.wsgi"],
            env=environment,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            _wait_for(port, process, log)
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()
            process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text()}")


def _run(what: str, server: psutil.Process, port: int, clients: int, calls: list[Call]) -> Run:
    """Send the calls through this number of clients at once."""
    for call in calls[:8] if calls[0].method == "GET" else []:
        _Client(port).send(call)
    taken: list[float] = []
    wrong: list[str] = []
    queue = iter(calls)
    lock = threading.Lock()

    def work() -> None:
        client = _Client(port)
        while True:
            with lock:
                call = next(queue, None)
            if call is None:
                return
            begun = time.perf_counter()
            status, answer = client.send(call)
            taken.append((time.perf_counter() - begun) * 1000)
            if status not in call.right:
                wrong.append(f"{status} {answer[:200]!r}")

    cpu = _cpu(server)
    begun = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    if wrong:
        print(f"{what}: {wrong[0]}", file=sys.stderr)
    return Run(
        per_second=len(calls) / seconds,
        cpu_ms=(_cpu(server) - cpu) / len(calls) * 1000,
        errors=len(wrong) + len(calls) - len(taken),
        taken=taken,
    )


class _Client:
    """One connection, kept open; opened again where the server closed it while it was idle.

    Bytes over a socket: the load generator shares the processors with what it measures.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def send(self, call: Call) -> tuple[int, bytes]:
        body = b"" if call.body is None else json.dumps(call.body).encode()
        lines = [f"{call.method} {call.path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Token {call.token}"]
        if call.body is not None:
            lines += ["Content-Type: application/json", f"Idempotency-Key: {uuid.uuid4()}"]
        message = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
        for last in (False, True):
            try:
                return self._exchange(message)
            except OSError as error:
                if self._socket:
                    self._socket.close()
                self._socket = None
                if last:
                    return 0, repr(error).encode()
        raise AssertionError("unreachable")

    def _exchange(self, message: bytes) -> tuple[int, bytes]:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), 60)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(message)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._read()
        length = re.search(rb"\r\ncontent-length: *(\d+)", received[: end + 2], re.IGNORECASE)
        if length is None:
            raise OSError("an answer of unknown length")
        full = end + 4 + int(length[1])
        while len(received) < full:
            received += self._read()
        return int(received.split(b" ", 2)[1]), received[end + 4 :]

    def _read(self) -> bytes:
        assert self._socket is not None
        if not (some := self._socket.recv(65536)):
            raise OSError("the connection was closed")
        return some


def _cpu(server: psutil.Process) -> float:
    """Return the seconds of processor time that the server's processes have used."""
    total = 0.0
    for process in server.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _raw_per_second(url: str, recruits: Recruits, requests: int) -> float:
    """Return how many heists a second two processes execute in hand-written SQL, four connections each."""
    rule_set_id = RuleSet.objects.in_force(rules()).pk
    halves = [recruits.pairs(requests), recruits.pairs(requests)]
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(3), context.Barrier(3)
    processes = [context.Process(target=raw.work, args=(url, half, rule_set_id, ready, done)) for half in halves]
    for process in processes:
        process.start()
    ready.wait(60)
    begun = time.perf_counter()
    done.wait(600)
    seconds = time.perf_counter() - begun
    for process in processes:
        process.join()
    return 2 * requests / seconds
