"""The figures as JSON and as tables, and one run beside another."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def write(figures: Any, path: Path) -> None:
    path.write_text(json.dumps(figures, indent=2) + "\n")


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def table(results: dict[str, Any]) -> str:
    """Return everything that was measured, as text."""
    lines: list[str] = []
    for heists, world in results["worlds"].items():
        lines += ["", f"== {int(heists):,} heists, seeded in {world['seeding']['seconds']} s", ""]
        lines.append(f"{'service':<12}{'ms':>9}{'raw ms':>9}{'x raw':>8}{'statements':>12}")
        for name, row in world["service"].items():
            lines.append(f"{name:<12}{row['service_ms']:>9}{row['raw_ms']:>9}{row['ratio']:>8}{row['statements']:>12}")
        deed = world["service"]["execution"]
        lines.append(f"{'rejection':<12}{deed['rejection_ms']:>9}{'':>17}{deed['rejection_statements']:>12}")
        if web := world.get("web"):
            lines += ["", f"two processes of raw SQL, 8 clients: {web['raw_per_second']} heists a second", ""]
            lines.append(
                f"{'HTTP':<22}{'clients':>8}{'req/s':>9}{'p50 ms':>9}{'p95':>9}{'p99':>9}{'errors':>8}{'CPU ms':>9}"
            )
            for run in web["runs"]:
                lines.append(
                    f"{run['what']:<22}{run['clients']:>8}{run['per_second']:>9}{run['p50_ms']:>9}{run['p95_ms']:>9}"
                    f"{run['p99_ms']:>9}{run['errors']:>8}{run['cpu_ms']:>9}"
                )
        lines += ["", f"{'table':<28}{'rows':>12}{'bytes a row':>13}{'with indexes':>14}"]
        for name, row in world["database"]["storage"].items():
            lines.append(f"{name:<28}{row['rows']:>12}{row['bytes']:>13}{row['with_indexes']:>14}")
        year = world["database"]["year"]
        lines.append(
            f"a year of the promised use: {year['rows_mb']} MB of rows, {year['with_indexes_mb']} MB with indexes"
        )
        lines += ["", f"{'plan of':<20}{'ms':>9}  reads by"]
        for name, plan in world["database"]["plans"].items():
            lines.append(f"{name:<20}{plan['ms']:>9}  {', '.join(plan['reads'])}")
    return "\n".join(lines)


def comparison(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    """Return every figure of both runs side by side, with what became of it."""
    before = dict(_flat(earlier))
    lines = ["", f"{'figure':<60}{'earlier':>12}{'now':>12}{'change':>9}"]
    for name, value in _flat(now):
        if name in before:
            change = f"{(value / before[name] - 1) * 100:+.0f} %" if before[name] else ""
            lines.append(f"{name:<60}{before[name]:>12}{value:>12}{change:>9}")
    return "\n".join(lines)


def _flat(figures: Any, path: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(figures, dict):
        label = f"{figures['what']}.{figures['clients']}." if "what" in figures else ""
        for name, value in figures.items():
            yield from _flat(value, f"{path}{label}{name}.")
    elif isinstance(figures, list):
        for value in figures:
            yield from _flat(value, path)
    elif isinstance(figures, int | float):
        yield path.rstrip("."), figures
