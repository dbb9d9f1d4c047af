"""Tests one mutant after another in a tree of its own: `python -m tests.mutants.worker`, a JSON line in, one out.

What does not depend on the project is imported once; each run of pytest is a fork of this process.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from .plugin import SAVE, TEMPLATE

TREE = Path.cwd()
OUTPUT = TREE / "var" / "output.txt"
TMP = TREE / "var" / "tmp"
SQLITE = TREE / "var" / "template.sqlite3"
OPTIONS = (
    "-p",
    "tests.mutants.plugin",
    "-p",
    "no:cacheprovider",
    "--reuse-db",
    "-x",
    "-q",
    "--no-header",
    "-W",
    "ignore",
    # Plugins that cost half of a start and serve no test here.
    "-p",
    "no:schemathesis",
    "-p",
    "no:anyio",
    "-p",
    "no:faker",
)
# What pytest ends with when it found no test.
NO_TESTS = 5


def preload() -> None:
    import asyncio  # noqa: F401
    import email.message  # noqa: F401

    import django.contrib.admin
    import django.core.management
    import django.db.models
    import django.test  # noqa: F401
    import factory  # noqa: F401
    import faker.factory  # noqa: F401
    import hypothesis.stateful  # noqa: F401
    import psycopg_pool  # noqa: F401
    import pytest_django.plugin  # noqa: F401
    import redis  # noqa: F401
    import requests  # noqa: F401
    import yaml  # noqa: F401

    gc.collect()
    gc.freeze()


def run(
    stage: dict[str, Any], timeout: float, cpu: float = 900, env: dict[str, str] | None = None
) -> tuple[str, float, float]:
    """Run pytest in a fork; return how it ended, its seconds and those of processor time.

    It ended "passed", "failed", "empty" (without a test), "endless" or "timeout": `cpu` ends a loop without end early,
    however busy the machine is, and `timeout` ends what waits.
    """
    shutil.rmtree(TMP, ignore_errors=True)
    TMP.mkdir(parents=True)
    started = time.monotonic()
    child = os.fork()
    if not child:
        # At the hard limit the kernel kills; at the soft one, it says why.
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 20))
        _child(stage, env or {})
    while True:
        done, status, used = os.wait4(child, os.WNOHANG)
        spent = time.monotonic() - started
        if done:
            outcomes = {0: "passed", NO_TESTS: "empty", -signal.SIGXCPU: "endless", -signal.SIGKILL: "timeout"}
            return outcomes.get(os.waitstatus_to_exitcode(status), "failed"), spent, used.ru_utime + used.ru_stime
        if spent > timeout:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "timeout", spent, 0
        time.sleep(0.02)


def _child(stage: dict[str, Any], env: dict[str, str]) -> None:
    code = 1
    try:
        os.setsid()
        out = os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.environ |= {"TMPDIR": str(TMP), TEMPLATE: str(SQLITE), **env}
        if stage["database"] == "postgres":
            _fresh_postgres()
        import pytest

        arguments = [*OPTIONS, f"--database={stage['database']}", "--hypothesis-seed=1"]
        arguments += [f"--ignore={path}" for path in stage["ignored"]]
        code = int(pytest.main([*arguments, *stage["tests"]]))
    except BaseException as problem:
        print(repr(problem), flush=True)
    finally:
        sys.stdout.flush()
        os._exit(code)


def _fresh_postgres() -> None:
    """Make the test database from its template; without one yet, let pytest make it."""
    import psycopg

    name, url = os.environ["MUTANTS_DATABASE"], os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS test_{name} WITH (FORCE)")
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = 'mutants_template'").fetchone():
            connection.execute(f"CREATE DATABASE test_{name} TEMPLATE mutants_template")


def prepare(request: dict[str, Any]) -> None:
    """Make the databases that later runs copy."""
    import psycopg

    for database in ("sqlite", "postgres"):
        outcome, *_ = run(
            {"database": database, "tests": request["tests"], "ignored": ()},
            600,
            env={SAVE: str(SQLITE)} if database == "sqlite" else {},
        )
        if outcome != "passed":
            raise SystemExit(f"The template of the test database failed on {database}:\n{OUTPUT.read_text()[-3000:]}")
        if database == "postgres":
            with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
                connection.execute(f"ALTER DATABASE test_{os.environ['MUTANTS_DATABASE']} RENAME TO mutants_template")


def judge(request: dict[str, Any]) -> dict[str, Any]:
    """Put the changed source in its place, run its stages until one notices, and put the original back."""
    path = TREE / request["module"]
    original, spent, cpu = path.read_bytes(), 0.0, 0.0
    try:
        if (source := request.get("source")) is not None:
            path.write_text(source, encoding="utf-8")
            # A time of its own for each mutant: Python compares a cached module's time, in seconds, and size.
            os.utime(path, (request["number"], request["number"]))
        for stage in request["stages"]:
            outcome, seconds, used = run(stage, stage["timeout"], stage["cpu"])
            spent, cpu = spent + seconds, cpu + used
            if outcome != "passed":
                break
    finally:
        path.write_bytes(original)
    tail = OUTPUT.read_text(encoding="utf-8", errors="replace")[-3000:] if outcome != "passed" else ""
    return {"outcome": outcome, "seconds": spent, "cpu": cpu, "output": tail}


def main() -> None:
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    preload()
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        if "prepare" in request:
            prepare(request)
        else:
            answer = judge(request)
        print(json.dumps(answer), file=channel)


if __name__ == "__main__":
    main()
