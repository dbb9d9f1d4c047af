"""Many machines on the loopback interface: `python -m tests.cluster --seconds 60`.

A primary with a streaming replica, PgBouncer, two web hosts whose clocks differ by half a second, Redis, nginx. Eight
clients rob with idempotency keys, two read. Under load a column and an index are added, a web host is started again,
the replica is held back for a second, the primary is killed, and the replica is promoted. In the end every answer is
compared with the rows, and the audit must find nothing.

It runs once with synchronous replication, where nothing that was answered may be lost, and once without.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests import ROOT
from tests.chaos.world import GAME
from tests.servers import USER, find, free_port

# Programs and Debian's packages of them. The scenario needs the first, and does without the others.
NEEDED = {"pgbouncer": "pgbouncer"}
OPTIONAL = {"nginx": "nginx", "redis-server": "redis-server", "faketime": "faketime"}
FIGURES = {
    "acknowledged": "attempts answered",
    "lost": "of them lost",
    "differences": "differences in the audit",
    "disagreements": "other answers that disagree",
    "retries": "requests repeated",
    "rate": "attempts a second, before the fail-over",
    "median": "median answer, ms",
    "commit": "a transaction of one row, ms: waiting for the replica or not",
    "cpu": "processor time of the primary an attempt, ms",
    "wal": "write-ahead log an attempt, kB",
    "column": "adding a column, s",
    "index": "adding an index, s",
    "restart": "longest pause while a web host starts again, s",
    "downtime": "longest pause at the fail-over, s",
    "reads": "reads answered, by status",
    "rest": "a web process at rest",
    "load": "a web process under load",
    "backends": "connections of the primary, at rest and under load",
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Rob on many machines while one of them fails.")
    parser.add_argument("--seconds", type=int, default=60, help="of load; two thirds with synchronous replication")
    parser.add_argument("--json", action="store_true", help="the tallies as JSON")
    parser.add_argument("--one", choices=["synchronous", "asynchronous"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if missing := {name: package for name, package in NEEDED.items() if find(name) is None}:
        print(sentence(missing, "is needed"), file=sys.stderr)
        return 2
    if options.one:
        print(json.dumps(one(synchronous=options.one == "synchronous", seconds=options.seconds)))
        return 0
    for name, package in OPTIONAL.items():
        if find(name) is None:
            print(sentence({name: package}, "is missing; the run does without"), file=sys.stderr)
    seconds = {"synchronous": options.seconds * 2 // 3, "asynchronous": options.seconds // 3}
    tallies = {mode: child(mode, share) for mode, share in seconds.items()}
    print(json.dumps(tallies) if options.json else table(tallies))
    wrong = [tally["differences"] + tally["disagreements"] for tally in tallies.values()]
    return (
        1 if any(wrong) or tallies["synchronous"]["lost"] or not all(t["acknowledged"] for t in tallies.values()) else 0
    )


def sentence(programs: dict[str, str], what: str) -> str:
    return f"{', '.join(programs)} {what} (Debian: apt-get install {' '.join(programs.values())})."


def child(mode: str, seconds: int) -> dict[str, Any]:
    """Run one mode in a process of its own, because the settings are read once in a process."""
    command = [sys.executable, "-m", "tests.cluster", "--one", mode, "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    *lines, last = done.stdout.splitlines()
    for line in lines:
        print(line, file=sys.stderr)
    tally: dict[str, Any] = json.loads(last)
    return tally


def table(tallies: dict[str, dict[str, Any]]) -> str:
    rows = [("", *tallies), ("---", *("---" for _ in tallies))]
    rows += [(text, *(str(tally.get(key, "")) for tally in tallies.values())) for key, text in FIGURES.items()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def one(*, synchronous: bool, seconds: int) -> dict[str, Any]:
    """Start everything, let the clients play, stop everything; return the tally."""
    folder, wrong = Path(tempfile.mkdtemp(prefix="heists-cluster-")), 1
    folder.chmod(0o755)
    if USER:
        shutil.chown(folder, USER)
    primary, replica, pooler, cache = (free_port() for _ in range(4))
    os.environ |= GAME | {
        # This process writes to whichever server takes writes.
        "DATABASE_URL": "postgres://postgres@/postgres?host=127.0.0.1,127.0.0.1"
        f"&port={primary},{replica}&target_session_attrs=read-write",
        "VAR_DIR": str(folder),
        "ENV_FILE": os.devnull,
        "SECRET_KEY": secrets.token_hex(32),
        "HEIST_TRUSTED_PROXIES": "1" if find("nginx") else "0",
        "HEIST_READ_RATE_LIMIT_PER_MINUTE": "1000000",
        "WEB_CONCURRENCY": "2",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    if find("redis-server"):
        os.environ["CACHE_URL"] = f"redis://127.0.0.1:{cache}/0"
    try:
        import django

        django.setup()
        from .run import Ports, run

        tally = run(folder, Ports(primary, replica, pooler, cache), synchronous=synchronous, seconds=seconds)
        wrong = tally["differences"] + tally["disagreements"]
        return tally
    finally:
        for log in folder.glob("*.log") if wrong else []:
            sys.stderr.write(f"--- {log.name}\n{log.read_text()[-20_000:]}\n")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
