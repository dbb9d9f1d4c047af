"""Compare this tree with another checkout, or two servers: `make bench AGAINST=/path/to/other/checkout`.

Both trees run at the same time, each with a database of its own that has the same world, and take turns: a busy moment
of the machine affects both alike. The services' figures are CPU time of the process, without PostgreSQL's; over HTTP
also that of the production server.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from . import load
from .environment import database, environment
from .load import Call, Run
from .report import markdown

SCRIPT = Path(__file__).with_name("tree.py")
CLIENTS = (8, 32)
HTTP_FIGURES = {
    "per_second": "requests/s",
    "cpu_ms": "CPU ms a request",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "idle": "idle %",
    "errors": "errors",
}
RATIOS: dict[str, Callable[[Run], float]] = {
    "per_second": lambda run: run.per_second,
    "cpu_ms": lambda run: run.cpu_ms,
}


@dataclass
class Tree:
    """A checkout with a world of its own; a process of its code measures the services and prepares the requests."""

    root: Path
    # What its interpreter runs to start the production server.
    server: str
    environment: dict[str, str]
    process: subprocess.Popen[str]

    def ask(self, what: str, *arguments: Any) -> Any:
        """Call a function of benchmarks/tree.py in the tree."""
        assert self.process.stdin
        print(json.dumps([what, *arguments]), file=self.process.stdin, flush=True)
        return json.loads(self.answer())

    def answer(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the tree {self.root} ended with exit code {self.process.wait(60)}")
        return line


@contextmanager
def tree(root: Path, server: str, url: str, folder: Path, heists: int) -> Iterator[Tree]:
    """Seed the world of a tree."""
    folder.mkdir()
    settings = environment(url, str(folder))
    with subprocess.Popen(
        [load.python(root), str(SCRIPT), str(heists)],
        cwd=root,
        env=settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        new = Tree(root, server, settings, process)
        new.answer()
        yield new


def compare(
    postgres: str, trees: list[tuple[Path, str]], folder: str, *, heists: int, rounds: int, calls: int, requests: int
) -> str:
    """Return tables of both trees' figures and their ratio: medians of the rounds. No requests: the services alone.

    A tree is a checkout and what its interpreter runs to start the production server.
    """
    with ExitStack() as stack:
        both = [
            stack.enter_context(
                tree(root, server, stack.enter_context(database(postgres, f"bench_{n}")), Path(folder) / str(n), heists)
            )
            for n, (root, server) in enumerate(trees)
        ]
        # The first round warms caches and prepared statements.
        services = [[one.ask("services", calls) for one in both] for _ in range(rounds + 1)][1:]
        tables = _services(services)
        for clients in CLIENTS if requests else ():
            tables += _over_http(both, clients, rounds, max(requests // rounds, clients))
    return "\n".join(tables)


def _over_http(both: list[Tree], clients: int, rounds: int, count: int) -> list[str]:
    """Send the requests to both servers in turn, endpoint by endpoint and round by round."""
    runs: list[list[dict[str, Run]]] = []
    with ExitStack() as stack:
        servers = [stack.enter_context(load.serving(one.root, one.server, one.environment)) for one in both]
        for number in range(rounds):
            prepared = [one.ask("requests", count, load.READS) for one in both]
            done: list[dict[str, Run]] = [{}, {}]
            for name in prepared[0]:
                # Who begins changes, too.
                for n in (0, 1) if number % 2 else (1, 0):
                    done[n][name] = load.run(name, servers[n], clients, [Call(*call) for call in prepared[n][name]])
            runs.append(done)
    rows = []
    for name in runs[0][0]:
        here, there = ([done[n][name] for done in runs] for n in (0, 1))
        ours, theirs = load.figures(here), load.figures(there)
        row: list[Any] = [name]
        for figure in HTTP_FIGURES:
            row += [ours[figure], theirs[figure]]
            if values := RATIOS.get(figure):
                row.append(_ratio(map(values, here), map(values, there)))
        rows.append(row)
    head = [f"{clients} clients"]
    for figure, title in HTTP_FIGURES.items():
        head += [title, "the other", *(["ratio"] if figure in RATIOS else [])]
    return markdown(head, *rows)


def _services(rounds: list[list[dict[str, float]]]) -> list[str]:
    rows = []
    for name in rounds[0][0]:
        here, there = ([done[n][name] for done in rounds] for n in (0, 1))
        rows.append((name, f"{median(here):.2f}", f"{median(there):.2f}", _ratio(here, there)))
    return markdown(("call", "CPU ms", "the other", "ratio"), *rows)


def _ratio(here: Iterable[float], there: Iterable[float]) -> str:
    """Return the median of the rounds' ratios: both of a round met the same moment."""
    return f"{median(ours / (theirs or 1) for ours, theirs in zip(here, there, strict=True)):.2f}"
