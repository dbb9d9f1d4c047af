"""`python -m benchmarks`: see `--help`."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import against, load, report
from .environment import database, environment, server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", default="10000", help="heists in each world, with commas: 10000,1000000,10000000")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, whose median is reported (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=100, help="calls in each round (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=600, help="HTTP requests to an endpoint (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tiny world and one round: does everything work?")
    parser.add_argument("--no-http", action="store_true", help="leave the production server out")
    parser.add_argument("--output", type=Path, default=Path("var/bench.json"), help="where the figures go")
    parser.add_argument("--compare", type=Path, metavar="EARLIER", help="figures of an earlier run")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="compare with another checkout, in turn")
    parser.add_argument("--other-server", default=load.SERVER, help="what python runs as the server of that checkout")
    options = parser.parse_args()
    if options.quick:
        options.scale, options.rounds, options.calls, options.requests = "600", 1, 5, 8

    results: dict[str, Any] = {"worlds": {}}
    with server() as server_url, tempfile.TemporaryDirectory(prefix="heists-bench-") as folder:
        if options.against:
            print(_compare(server_url, folder, options))
            return
        for heists in map(int, options.scale.split(",")):
            with database(server_url, f"bench_{heists}") as url:
                results["worlds"][str(heists)] = _in_a_process(url, heists, folder, options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    report.write(results, options.output)
    table = report.table(results)
    options.output.with_suffix(".md").write_text(table + "\n")
    print(table)
    if options.compare:
        print(report.comparison(report.read(options.compare), results))


def _compare(server_url: str, folder: str, options: argparse.Namespace) -> str:
    """Measure this tree and another one in turn."""
    return against.compare(
        server_url,
        [(load.ROOT, load.SERVER), (options.against.resolve(), options.other_server)],
        folder,
        heists=int(options.scale.split(",")[0]),
        rounds=options.rounds,
        calls=options.calls,
        requests=0 if options.no_http else options.requests,
    )


def _in_a_process(url: str, heists: int, folder: str, options: argparse.Namespace) -> Any:
    """Measure one world in a process of its own: Django connects to one database in its life."""
    figures = Path(folder) / "figures.json"
    arguments = [str(heists), str(options.rounds), str(options.calls), str(0 if options.no_http else options.requests)]
    subprocess.run(
        [sys.executable, "-m", "benchmarks.measure", *arguments, str(figures)], check=True, env=environment(url, folder)
    )
    return report.read(figures)


if __name__ == "__main__":
    main()
