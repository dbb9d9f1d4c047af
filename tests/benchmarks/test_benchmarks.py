"""A smoke test: the whole benchmark in a tiny world. It asserts that every figure is there, and no speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings


@pytest.mark.postgresql
def test_a_quick_run_reports_every_figure(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    environment = {**os.environ, "BENCH_SERVER": os.environ["DATABASE_URL"]}

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--output", str(output)],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    world = json.loads(output.read_text())["worlds"]["600"]
    assert set(world["service"]) == {"execution", "balance", "me", "preview", "feed", "history", "targets"}
    assert {"me", "targets, eligible", "targets, by name", "points, last month", "my truce"} < set(world["pages"])
    assert all(page["ms"] > 0 for page in world["pages"].values()) and world["pages"]["me"]["statements"] == 2
    assert {run["clients"] for run in world["web"]["runs"]} == {1, 8, 32}
    assert all(run["errors"] == 0 and run["per_second"] > 0 for run in world["web"]["runs"])
    assert world["web"]["raw_per_second"] > 0
    assert world["service"]["execution"]["statements"] <= 12
    assert world["service"]["execution"]["rejection_statements"] <= 4
    assert world["service"]["balance"]["statements"] == 1
    assert {"heists_heist", "heists_heisttoken", "heists_heistnotification"} == set(world["database"]["storage"])
    assert "| rob, distinct pairs | 8 |" in done.stdout
    assert output.with_suffix(".md").read_text().strip() in done.stdout


@pytest.mark.postgresql
def test_a_comparison_with_another_checkout_has_a_ratio_for_each_call_and_endpoint(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.symlink_to(settings.BASE_DIR)

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--against", str(other)],
        cwd=settings.BASE_DIR,
        env={**os.environ, "BENCH_SERVER": os.environ["DATABASE_URL"]},
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    printed = done.stdout.strip().split("\n\n")
    tables = [[line.strip("| ").split(" | ") for line in table.splitlines()] for table in printed]
    services, few, many = ([row for row in table[2:] if float(row[3]) > 0] for table in tables)
    assert [row[0] for row in services] == [
        "execution",
        "execution, the host's lock and transfer",
        "execution, our own",
        "rejection",
        "grant",
        "preview",
        "target list",
        "balance",
    ]
    assert (tables[1][0][0], tables[2][0][0]) == ("8 clients", "32 clients")
    for endpoints in (few, many):
        names = ["bare", "balance", "me", "feed", "history", "targets", "rob, distinct pairs"]
        assert [row[0] for row in endpoints] == names
        # The errors of both.
        assert [row[-2:] for row in endpoints] == [["0", "0"]] * len(names)
