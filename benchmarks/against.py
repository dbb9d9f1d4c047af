"""Compare the services of this tree with those of another checkout: `make bench AGAINST=/path/to/other/checkout`.

Both trees run at the same time on the same server, each in a process and a database of its own, and take turns: a busy
moment of the machine affects both alike. The figures are CPU time of the process, without PostgreSQL's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median

from .environment import database, environment

HERE = Path(__file__).resolve().parents[1]
SCRIPT = Path(__file__).with_name("tree.py")


class Tree:
    """A checkout whose services are measured in a process of its own."""

    def __init__(self, root: Path, url: str, folder: str) -> None:
        self.root = root
        python = root / ".venv" / "bin" / "python"
        self.process = subprocess.Popen(
            [str(python) if python.exists() else sys.executable, str(SCRIPT)],
            cwd=root,
            env=environment(url, folder) | {"DJANGO_SETTINGS_MODULE": "config.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._read()

    def measure(self, calls: int) -> dict[str, float]:
        assert self.process.stdin
        print(calls, file=self.process.stdin, flush=True)
        figures: dict[str, float] = json.loads(self._read())
        return figures

    def close(self) -> None:
        self.process.communicate(timeout=60)

    def _read(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the tree {self.root} ended with exit code {self.process.wait(60)}")
        return line


def compare(server: str, other: Path, folder: str, *, rounds: int, calls: int) -> str:
    """Return a table of both trees' CPU milliseconds a call, and their ratio: medians of the rounds."""
    with database(server, "bench_here") as here_url, database(server, "bench_other") as other_url:
        trees = Tree(HERE, here_url, folder), Tree(other.resolve(), other_url, folder)
        try:
            # The first round warms caches and prepared statements.
            results = [tuple(tree.measure(calls) for tree in trees) for _ in range(rounds + 1)][1:]
        finally:
            for tree in trees:
                tree.close()
    lines = ["| call, CPU ms | this tree | the other | ratio |", "|---|---|---|---|"]
    for name in results[0][0]:
        here, there = ([figures[tree][name] for figures in results] for tree in (0, 1))
        ratio = median(ours / theirs for ours, theirs in zip(here, there, strict=True))
        lines.append(f"| {name} | {median(here):.2f} | {median(there):.2f} | {ratio:.2f} |")
    return "\n".join(lines)
