"""The machines, the clients, and what happens to them."""

from __future__ import annotations

import http.client
import itertools
import os
import random
import signal
import statistics
import subprocess
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import psycopg
from django.core.management import call_command
from django.db import connections
from django.db.models import Sum
from knox.models import get_token_model

from gamification.models import PlayerProfile
from tests import servers
from tests.chaos.run import ANSWER, CAST, GRACE, POINTS, TOKENS, Client, audit, await_server, disagreements, lost
from tests.factories import player

CLIENTS, READERS = 8, 2
# For so long nothing reaches the replica before the primary is killed.
HELD_BACK_SECONDS = 1
# What a proxy answers while a web host is away, and the site while the database is.
AGAIN = (502, 503, 504)


class Ports(NamedTuple):
    primary: int
    replica: int
    pooler: int
    cache: int


@dataclass
class Robber(Client):
    """A client that notes when it was answered, and how long that took."""

    again: tuple[int, ...] = AGAIN
    taken: list[tuple[float, float]] = field(default_factory=list)

    __hash__ = Client.__hash__

    def fetch(self, victim: int, key: str) -> tuple[int, dict[str, Any]] | None:
        begun = time.monotonic()
        found = super().fetch(victim, key)
        if found is not None and found[0] < 500:
            self.taken.append((time.monotonic(), time.monotonic() - begun))
        return found


class Reader(threading.Thread):
    """Reads what may come from the replica, and counts the statuses."""

    def __init__(self, port: int, secret: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.port, self.secret, self.stop = port, secret, stop
        self.statuses: Counter[int | str] = Counter()

    def run(self) -> None:
        while not self.stop.wait(0.05):
            for path in ("/api/heists/", "/api/heists/me/"):
                line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER)
                try:
                    line.request("GET", path, headers={"Authorization": f"Token {self.secret}"})
                    self.statuses[line.getresponse().status] += 1
                except (OSError, http.client.HTTPException):
                    self.statuses["none"] += 1
                finally:
                    line.close()


class WebHost:
    """A web host: the production server, with a clock of its own where faketime is installed."""

    def __init__(self, folder: Path, ports: Ports, offset: str) -> None:
        self.port = servers.free_port()
        self.log = folder / f"web-{self.port}.log"
        self.environ = os.environ | {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "DATABASE_URL": f"postgres://postgres@127.0.0.1:{ports.pooler}/postgres",
            "DATABASE_DISABLE_SERVER_SIDE_CURSORS": "true",
            "REPLICA_URL": f"postgres://postgres@127.0.0.1:{ports.replica}/postgres",
            **clock(offset),
        }
        self.start()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(servers.SITE, env=self.environ, stdout=log, stderr=log)
        await_server(self.port)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(GRACE)

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()


def clock(offset: str) -> dict[str, str]:
    """Return the environment of a process whose clock differs by this; an empty one where faketime is not installed."""
    if not offset or (faketime := servers.find("faketime")) is None:
        return {}
    done = subprocess.run(
        [faketime, "-f", offset, "printenv", "LD_PRELOAD"], stdout=subprocess.PIPE, text=True, check=True
    )
    return {"LD_PRELOAD": done.stdout.strip(), "FAKETIME": offset}


def run(folder: Path, ports: Ports, *, synchronous: bool, seconds: int) -> dict[str, Any]:
    """Start the machines, let the clients play for this number of seconds; return what was done, and what is wrong."""
    dice = random.Random(seed := random.randrange(2**32))
    print(f"cluster: seed {seed}", flush=True)
    with ExitStack() as stack:
        data = folder / "primary"
        servers.initdb(data)
        primary = stack.enter_context(servers.postgres(data, ports.primary))
        call_command("migrate", verbosity=0)
        cast = [player(points=POINTS, tokens=TOKENS) for _ in range(CAST)]
        before = points()
        secrets = [get_token_model().objects.create(user=one)[1] for one in cast[: CLIENTS + READERS]]
        servers.pg_basebackup(folder / "replica", ports.primary)
        stack.enter_context(servers.postgres(folder / "replica", ports.replica))
        if synchronous:
            execute(ports.primary, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        pooler = stack.enter_context(servers.pgbouncer(folder, ports.pooler, ports.primary))
        if servers.find("redis-server"):
            stack.enter_context(servers.redis(folder, ports.cache))
        hosts = []
        for offset in ("", "+0.5s"):
            hosts.append(WebHost(folder, ports, offset))
            stack.callback(hosts[-1].stop)
        entry_ports = [host.port for host in hosts]
        if servers.find("nginx"):
            entry_ports = [servers.free_port()]
            stack.enter_context(servers.nginx(folder, entry_ports[0], [host.port for host in hosts]))
        connections.close_all()

        calm, victims = threading.Event(), [one.pk for one in cast]
        robbers = [
            Robber(entry_ports[n % len(entry_ports)], cast[n], secrets[n], victims, calm, random.Random(dice.random()))
            for n in range(CLIENTS)
        ]
        readers = [Reader(entry_ports[n % len(entry_ports)], secrets[CLIENTS + n], calm) for n in range(READERS)]
        tally: dict[str, Any] = {"rest": processes(hosts, ports)}
        if synchronous:
            tally["commit"] = commit(ports.primary)
        at_rest, spent = backends(ports.primary), (cpu(primary), written(ports.primary))
        begun = time.monotonic()
        for thread in (*robbers, *readers):
            thread.start()
        if synchronous:
            time.sleep(seconds / 4)
            tally |= change_schema(ports.primary)
            time.sleep(seconds / 8)
            restarted = time.monotonic()
            hosts[0].stop()
            hosts[0].start()
            tally["restart"] = pause(robbers, restarted, time.monotonic())
        time.sleep(max(0.0, begun + seconds / 2 - time.monotonic()))
        tally |= {"load": processes(hosts, ports), "backends": f"{at_rest}, {backends(ports.primary)}"}
        failed = time.monotonic()
        tally |= speed(robbers, begun, failed)
        attempts = sum(len(robber.answers) for robber in robbers)
        tally["cpu"] = round(1000 * (cpu(primary) - spent[0]) / attempts, 1)
        tally["wal"] = round((written(ports.primary) - spent[1]) / attempts / 1000, 1)
        fail_over(folder, ports, primary, pooler)
        time.sleep(max(seconds / 4, begun + seconds - time.monotonic()))
        tally["downtime"] = pause(robbers, failed, time.monotonic())
        calm.set()
        for robber in robbers:
            robber.join(GRACE + ANSWER)
        for reader in readers:
            reader.join(GRACE)

        missing = [line for robber in robbers for line in lost(robber)]
        wrong = [line for robber in robbers for line in disagreements(robber)]
        if before != (after := points()):
            wrong.append(f"{before} points became {after}")
        for line in wrong + (missing if synchronous else []):
            print(line)
        reads = sum((reader.statuses for reader in readers), Counter[int | str]())
        tally |= {
            "acknowledged": sum(len(robber.answers) for robber in robbers),
            "lost": len(missing),
            "differences": audit(),
            "disagreements": len(wrong),
            "retries": sum(robber.retries for robber in robbers),
            "reads": ", ".join(f"{status}: {count}" for status, count in sorted(reads.items(), key=str)),
        }
        connections.close_all()
    return tally


def points() -> int:
    total: int = PlayerProfile.objects.aggregate(total=Sum("monthly_points"))["total"]
    return total


def execute(port: int, *statements: str) -> list[Any]:
    """Run statements on the server at this port, each on its own; return the rows of the last."""
    with psycopg.connect(
        host="127.0.0.1", port=port, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def commit(port: int) -> str:
    """Return the median time of a transaction of one row: where it waits for the replica, and where it does not."""
    execute(port, "CREATE TABLE one_row (id integer)")
    taken: dict[str, list[float]] = {"on": [], "local": []}
    with psycopg.connect(
        host="127.0.0.1", port=port, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        # In turn, because the machine does other work as well.
        for level in [*taken] * 200:
            connection.execute(f"SET synchronous_commit = {level}")
            begun = time.perf_counter()
            connection.execute("INSERT INTO one_row VALUES (1)")
            taken[level].append(time.perf_counter() - begun)
    waiting, local = (round(1000 * statistics.median(times), 1) for times in taken.values())
    return f"{waiting} waiting, {local} not"


def change_schema(primary: int) -> dict[str, float]:
    """Add a column and an index as docs/operations.md says; return how long each took, in seconds."""
    begun = time.monotonic()
    while True:
        try:
            execute(primary, "SET lock_timeout = '1s'", "ALTER TABLE heists_heist ADD COLUMN note text")
            break
        except psycopg.errors.LockNotAvailable:
            time.sleep(0.2)
    column = time.monotonic()
    execute(primary, "CREATE INDEX CONCURRENTLY heists_heist_note ON heists_heist (note, created_at)")
    return {"column": round(column - begun, 2), "index": round(time.monotonic() - column, 2)}


def fail_over(folder: Path, ports: Ports, primary: subprocess.Popen[str], pooler: subprocess.Popen[str]) -> None:
    """Kill the primary, promote the replica, and point the pooler to it.

    Before, the replica gets nothing for a moment: on one machine it would never be behind.
    """
    [[receiver]] = execute(ports.replica, "SELECT pid FROM pg_stat_wal_receiver")
    os.kill(receiver, signal.SIGSTOP)
    time.sleep(HELD_BACK_SECONDS)
    backends = psutil.Process(primary.pid).children()
    # First, because it would start again where only others are killed.
    primary.kill()
    primary.wait()
    for backend in backends:
        with suppress(psutil.NoSuchProcess):
            backend.kill()
    # It ends before it reads what the system had received for it.
    os.kill(receiver, signal.SIGTERM)
    os.kill(receiver, signal.SIGCONT)
    execute(ports.replica, "SELECT pg_promote()")
    servers.configure_pgbouncer(folder, ports.pooler, ports.replica)
    pooler.send_signal(signal.SIGHUP)


def pause(robbers: list[Robber], begun: float, ended: float) -> float:
    """Return the longest time between two answers to anybody, in seconds."""
    answered = sorted(at for robber in robbers for at, _taken in robber.taken if begun <= at <= ended)
    moments = [begun, *answered, ended]
    return round(max(later - earlier for earlier, later in itertools.pairwise(moments)), 2)


def speed(robbers: list[Robber], begun: float, ended: float) -> dict[str, float]:
    taken = [taken for robber in robbers for at, taken in robber.taken if begun <= at <= ended]
    return {"rate": round(len(taken) / (ended - begun), 1), "median": round(1000 * statistics.median(taken), 1)}


def processes(hosts: list[WebHost], ports: Ports) -> str:
    """Return the memory of a worker process of the web hosts, and its connections to pooler and replica."""
    workers = [worker for host in hosts for worker in host.workers()]
    memory = statistics.mean(worker.memory_full_info().uss for worker in workers) / 2**20
    shared = statistics.mean(worker.memory_info().rss for worker in workers) / 2**20
    lines = [
        line
        for worker in workers
        for line in worker.net_connections("tcp")
        if line.raddr and line.raddr.port in (ports.pooler, ports.replica)
    ]
    return f"{memory:.0f} MB of its own, {shared:.0f} MB with shared pages, {len(lines) / len(workers):.1f} connections"


def cpu(server: subprocess.Popen[str]) -> float:
    """Return the processor time of a server and its processes, in seconds."""
    parent = psutil.Process(server.pid)
    times = [process.cpu_times() for process in (parent, *parent.children())]
    return sum(time.user + time.system for time in times)


def written(port: int) -> int:
    """Return the bytes of write-ahead log that the server has written."""
    [[count]] = execute(port, "SELECT pg_current_wal_lsn() - '0/0'")
    return int(count)


def backends(port: int) -> int:
    [[count]] = execute(port, "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")
    return int(count) - 1
