"""`python -m benchmarks`: see `--help`."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.embedded import postgres

from . import report


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", default="10000", help="heists in each world, with commas: 10000,1000000,10000000")
    parser.add_argument("--rounds", type=int, default=5, help="the median of so many (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=100, help="calls in each round (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=600, help="HTTP requests to an endpoint (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tiny world and one round: does everything work?")
    parser.add_argument("--no-http", action="store_true", help="leave the production server out")
    parser.add_argument("--output", type=Path, default=Path("var/bench.json"), help="where the figures go")
    parser.add_argument("--compare", type=Path, metavar="EARLIER", help="figures of an earlier run")
    options = parser.parse_args()
    if options.quick:
        options.scale, options.rounds, options.calls, options.requests = "600", 1, 5, 8

    results: dict[str, Any] = {"worlds": {}}
    with _server() as server, tempfile.TemporaryDirectory(prefix="heists-bench-") as folder:
        for heists in map(int, options.scale.split(",")):
            with _database(server, f"bench_{heists}") as url:
                results["worlds"][str(heists)] = _in_a_process(url, heists, folder, options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    report.write(results, options.output)
    table = report.table(results)
    options.output.with_suffix(".md").write_text(table + "\n")
    print(table)
    if options.compare:
        print(report.comparison(report.read(options.compare), results))


@contextlib.contextmanager
def _server() -> Iterator[str]:
    """Yield a durable server of our own, or the one of BENCH_SERVER."""
    if given := os.environ.get("BENCH_SERVER"):
        yield given
        return
    with postgres(durable=True) as url:
        yield url


@contextlib.contextmanager
def _database(server: str, name: str) -> Iterator[str]:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield server.replace("/postgres?", f"/{name}?") if "/postgres?" in server else f"{server.rpartition('/')[0]}/{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _in_a_process(url: str, heists: int, folder: str, options: argparse.Namespace) -> Any:
    """Measure one world in a process of its own: Django connects to one database in its life."""
    import subprocess

    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEIST_")},
        "DATABASE_URL": url,
        "DATABASE_CONN_MAX_AGE": "600",
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        "DEBUG": "false",
        "ENV_FILE": os.devnull,
        "INSECURE_HTTP": "true",
        "SECRET_KEY": secrets.token_hex(32),
        "VAR_DIR": folder,
        "LOGIN_RATE_LIMIT_PER_MINUTE": "1000000",
    }
    figures = Path(folder) / "figures.json"
    arguments = [str(heists), str(options.rounds), str(options.calls), str(0 if options.no_http else options.requests)]
    subprocess.run([sys.executable, "-m", "benchmarks.measure", *arguments, str(figures)], check=True, env=environment)
    return report.read(figures)


if __name__ == "__main__":
    main()
