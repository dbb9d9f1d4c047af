"""The load: a tree's production server, and clients that never pause and keep their connections, if it does."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import psutil

ROOT = Path(__file__).resolve().parents[1]
# What python runs in `make serve`.
SERVER = "-m gunicorn --config config/gunicorn.conf.py config.wsgi"
READS = {
    "bare": "/bare/",
    "balance": "/api/heists/token/",
    "me": "/api/heists/me/",
    "feed": "/api/heists/notifications/",
    "history": "/api/heists/",
    "targets": "/api/heists/targets/",
}


class Call(NamedTuple):
    """One request, and the statuses that it may be answered with."""

    method: str
    path: str
    token: str
    body: dict[str, Any] | None = None
    right: tuple[int, ...] = (200,)


class Run(NamedTuple):
    """The result of one endpoint's requests in one round; `taken` has the milliseconds of each.

    `idle` is the percentage of the machine's processor time that nobody used meanwhile.
    """

    per_second: float
    cpu_ms: float
    idle: float
    errors: int
    taken: list[float]


class Server:
    """A production server of a tree, listening on a port of its own."""

    def __init__(self, process: psutil.Process, port: int) -> None:
        self.process, self.port = process, port

    def cpu_seconds(self) -> float:
        """Return the processor time that all its processes have used."""
        total = 0.0
        for process in (self.process, *self.process.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total


def python(root: Path) -> str:
    """Return the interpreter of a checkout: that of its `.venv`, else our own."""
    own = root / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


@contextlib.contextmanager
def serving(root: Path, command: str, environment: Mapping[str, str]) -> Iterator[Server]:
    """Start a server in this checkout and stop it afterwards. Python runs the command; it may contain `{port}`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = Path(environment["VAR_DIR"]) / "server.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [python(root), *command.format(port=port).split()],
            cwd=root,
            env={**environment, "HOST": "127.0.0.1", "PORT": str(port)},
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            _wait_for(port, process, log)
            yield Server(psutil.Process(process.pid), port)
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


def run(what: str, server: Server, clients: int, calls: list[Call]) -> Run:
    """Send the calls through this number of clients at once."""
    for call in calls[:8] if calls[0].method == "GET" else []:
        _Client(server.port).send(call)
    taken: list[float] = []
    wrong: list[str] = []
    queue = iter(calls)
    lock = threading.Lock()

    def work() -> None:
        client = _Client(server.port)
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

    cpu, before = server.cpu_seconds(), psutil.cpu_times()
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
        cpu_ms=(server.cpu_seconds() - cpu) / len(calls) * 1000,
        idle=_idle(before, psutil.cpu_times()),
        errors=len(wrong) + len(calls) - len(taken),
        taken=taken,
    )


def figures(runs: list[Run]) -> dict[str, Any]:
    """Return the figures of one endpoint: medians of its rounds, and quantiles of all its requests."""
    cuts = quantiles([ms for some in runs for ms in some.taken], n=100, method="inclusive")
    return {
        "per_second": round(median(some.per_second for some in runs), 1),
        "p50_ms": round(cuts[49], 2),
        "p95_ms": round(cuts[94], 2),
        "p99_ms": round(cuts[98], 2),
        "errors": sum(some.errors for some in runs),
        "cpu_ms": round(median(some.cpu_ms for some in runs), 2),
        "idle": round(median(some.idle for some in runs), 1),
    }


def _idle(before: Any, after: Any) -> float:
    """Return the percentage of idle time between two measurements of all processors."""
    spent = {name: getattr(after, name) - getattr(before, name) for name in before._fields if "guest" not in name}
    idle = spent["idle"] + spent.get("iowait", 0.0)
    return float(100 * idle / (sum(spent.values()) or 1))


class _Client:
    """One connection, kept open where the server keeps it, and else opened again.

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
        if re.search(rb"\r\nconnection: *close", received[: end + 2], re.IGNORECASE):
            self._socket.close()
            self._socket = None
        return int(received.split(b" ", 2)[1]), received[end + 4 :]

    def _read(self) -> bytes:
        assert self._socket is not None
        if not (some := self._socket.recv(65536)):
            raise OSError("the connection was closed")
        return some
