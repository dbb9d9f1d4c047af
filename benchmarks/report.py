"""The figures as JSON and as tables, and the comparison of two runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def write(figures: Any, path: Path) -> None:
    path.write_text(json.dumps(figures, indent=2) + "\n")


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def table(results: dict[str, Any]) -> str:
    """Return everything that was measured, as the Markdown of docs/performance.md."""
    lines: list[str] = []
    for heists, world in results["worlds"].items():
        lines += [f"## {int(heists):,} heists, seeded in {world['seeding']['seconds']} s", ""]
        lines += _services(world["service"])
        lines += _pages(world["pages"])
        if web := world.get("web"):
            lines += _http(web)
        lines += _targets(world)
        lines += _bytes(world["database"])
        lines += _plans(world["database"])
    if len(results["worlds"]) > 1:
        lines += _growth(results["worlds"])
    return "\n".join(lines)


def markdown(*rows: Sequence[Any]) -> list[str]:
    """Return the lines of a table and an empty one; the first row is the head."""
    head, *body = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return [head, "|---" * len(rows[0]) + "|", *body, ""]


def _services(service: dict[str, Any]) -> list[str]:
    execution = service["execution"]
    figures = ("service_ms", "raw_ms", "ratio", "service_cpu_ms", "raw_cpu_ms", "statements")
    return markdown(
        ("service", "ms", "raw SQL, ms", "x raw", "CPU ms", "raw SQL, CPU ms", "statements"),
        *((name, *(row[figure] for figure in figures)) for name, row in service.items()),
        ("rejection", execution["rejection_ms"], "", "", "", "", execution["rejection_statements"]),
    )


def _pages(pages: dict[str, Any]) -> list[str]:
    return markdown(
        ("page, without a server", "ms", "statements"),
        *((name, page["ms"], page["statements"]) for name, page in pages.items()),
    )


def _http(web: dict[str, Any]) -> list[str]:
    figures = ("what", "clients", "per_second", "p50_ms", "p95_ms", "p99_ms", "errors", "cpu_ms", "x_bare", "idle")
    return [
        f"Two processes of raw SQL, 8 connections: {web['raw_per_second']} heists a second.",
        "",
        *markdown(
            (
                "HTTP",
                "clients",
                "requests/s",
                "p50 ms",
                "p95 ms",
                "p99 ms",
                "errors",
                "CPU ms a request",
                "x bare",
                "idle %",
            ),
            *(tuple(run[figure] for figure in figures) for run in web["runs"]),
        ),
    ]


def _targets(world: dict[str, Any]) -> list[str]:
    """Each target with the measured value, and whether it is met."""
    service = world["service"]
    aims: list[tuple[str, float, float]] = [
        ("budget: token balance, ms", service["balance"]["service_ms"], 5),
        ("budget: preview, ms", service["preview"]["service_ms"], 10),
        ("budget: execution, ms", service["execution"]["service_ms"], 50),
        ("budget: notification feed, ms", service["feed"]["service_ms"], 10),
        ("execution, x raw", service["execution"]["ratio"], 4),
    ]
    for name in ("preview", "balance", "feed"):
        aims.append((f"{name}: 3 x raw + 1 ms", service[name]["service_ms"], round(3 * service[name]["raw_ms"] + 1, 2)))
    if web := world.get("web"):
        runs = {(run["what"], run["clients"]): run for run in web["runs"]}
        for name in ("balance", "me", "feed", "history"):
            aims.append((f"{name} over HTTP, 8 clients, x a bare view's CPU", runs[name, 8]["x_bare"], 1.5))
        post = runs["rob, distinct pairs", 32]
        aims.append(("POST, 32 clients, p99 x p50", round(post["p99_ms"] / post["p50_ms"], 2), 3))
        aims.append(("idle share of the cores, 8 clients, %", max(runs[name, 8]["idle"] for name, _ in runs), 10))
        aims.append(("errors over HTTP", sum(run["errors"] for run in web["runs"]), 0))
    verdicts = [(name, value, f"at most {most}", "met" if value <= most else "missed") for name, value, most in aims]
    if web:
        distinct, hot = (runs[f"rob, {kind}", 8]["per_second"] for kind in ("distinct pairs", "one hot victim"))
        leasts = [("POST, 8 clients, x raw", web["x_raw"], 0.2), ("POST on a hot victim, 8 clients, /s", hot, distinct)]
        verdicts += [
            (name, value, f"at least {least}", "met" if value >= least else "missed") for name, value, least in leasts
        ]
    return markdown(("target", "measured", "aim", ""), *verdicts)


def _bytes(database: dict[str, Any]) -> list[str]:
    year = database["year"]
    return [
        *markdown(
            ("table", "rows", "bytes a row", "with indexes", "bytes of a promised row"),
            *(
                (name, row["rows"], row["bytes"], row["with_indexes"], row["promised_row"])
                for name, row in database["storage"].items()
            ),
        ),
        f"A year of the promised use: {year['rows_mb']} MB of rows, {year['with_indexes_mb']} MB with indexes.",
        "",
    ]


def _plans(database: dict[str, Any]) -> list[str]:
    return [
        *markdown(
            ("query", "ms, planning included", "reads"),
            *((name, plan["ms"], ", ".join(plan["reads"])) for name, plan in database["plans"].items()),
        ),
        *markdown(
            ("index", "MB", "queries that read it"),
            *((name, index["mb"], ", ".join(index["queries"])) for name, index in database["indexes"].items()),
        ),
    ]


def _growth(worlds: dict[str, Any]) -> list[str]:
    """Each service and page in each world: its time in the largest as a multiple of that in the smallest."""
    sizes = sorted(worlds, key=int)
    times = {
        name: [worlds[size]["service"][name]["service_ms"] for size in sizes] for name in worlds[sizes[0]]["service"]
    }
    times["rejection"] = [worlds[size]["service"]["execution"]["rejection_ms"] for size in sizes]
    for name in worlds[sizes[0]]["pages"]:
        times[f"page: {name}"] = [worlds[size]["pages"][name]["ms"] for size in sizes]
    return markdown(
        ("ms", *(f"{int(size):,} heists" for size in sizes), "x the smallest"),
        *((name, *row, round(row[-1] / row[0], 2)) for name, row in times.items()),
    )


def comparison(earlier: dict[str, Any], now: dict[str, Any]) -> str:
    """Return every figure of both runs side by side, with the change."""
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
