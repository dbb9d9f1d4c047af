"""Changes the core one line at a time and counts which changes the tests notice: `make mutants`.

    python -m tests.mutants --count 600 --seed 1 [--modules heists/rules.py …] [--workers 2]

The checkout is never changed: each worker has a copy of it in `var/mutants/`. Ends with 1 where too few are noticed,
with 2 where the tests fail without any change.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from .. import ROOT
from ..embedded import postgres
from .mutants import Mutant, sample
from .plan import COMPLETE, EXCUSED, LEFT_OUT, MODULES, THRESHOLD, Stage, modules, stages

RESULTS = ROOT / "var" / "mutants"
# Any that needs the database and changes it in one transaction.
FIRST_TEST = "tests/heists/services/test_tokens.py::test_a_grant_is_added_recorded_and_notified"


@dataclass
class Result:
    mutant: Mutant
    outcome: str
    seconds: float = 0


# The seconds that a stage may take, and those of the processor.
Limits = dict[Stage, tuple[float, float]]


class Worker:
    """A process that tests mutants, in a copy of the checkout."""

    def __init__(self, number: int, database_url: str) -> None:
        self.tree = RESULTS / f"tree{number}"
        copy_checkout(self.tree)
        name = f"mutants{number}"
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
            connection.execute(f"CREATE DATABASE {name}")
        env = os.environ | {
            "DATABASE_URL": database_url.replace("/postgres?", f"/{name}?"),
            "MUTANTS_DATABASE": name,
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.worker"],
            cwd=self.tree,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(2)
        return dict(json.loads(answer))

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)


def copy_checkout(tree: Path) -> None:
    shutil.rmtree(tree, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    (tree / "var").mkdir()


def each(workers: list[Worker], jobs: Iterable[Any], work: Any) -> None:
    """Let the workers do the jobs; the first problem ends all."""
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    problems: list[BaseException] = []
    for job in jobs:
        waiting.put(job)

    def loop(worker: Worker) -> None:
        try:
            while not problems:
                work(worker, waiting.get_nowait())
        except queue.Empty:
            pass
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=loop, args=[worker]) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


def measure(workers: list[Worker], plans: Iterable[Stage], limits: Limits) -> None:
    """Run each stage on the unchanged code; note the seconds, and those of the processor, that a mutant may take.

    A limit that is there already is never lowered.
    """

    def work(worker: Worker, stage: Stage) -> None:
        answer = worker.ask(module="heists/rules.py", stages=[as_request(stage, 1800, 900)])
        if answer["outcome"] != "passed":
            print(
                f"{stage.database}: {' '.join(stage.tests)}: {answer['outcome']}\n{answer['output']}", file=sys.stderr
            )
            raise SystemExit(2)
        # A loop without end meets the second limit, whatever else runs. Only what waits meets the first.
        wall, cpu = limits.get(stage, (180, 8))
        limits[stage] = max(wall, 10 * answer["seconds"]), max(cpu, 4 * answer["cpu"])
        print(f"  {answer['seconds']:5.1f} s  {stage.database:8}  {' '.join(stage.tests)}", flush=True)

    each(workers, dict.fromkeys(plans), work)


def as_request(stage: Stage, timeout: float, cpu: float) -> dict[str, Any]:
    return {"database": stage.database, "tests": stage.tests, "ignored": LEFT_OUT, "timeout": timeout, "cpu": cpu}


def excuses() -> dict[tuple[str, str, str, str], str]:
    """Return the reasons of the mutants that change nothing that a test could notice."""
    listed = tomllib.loads((Path(__file__).parent / "excused.toml").read_text(encoding="utf-8")).get("excused", [])
    return {(one["module"], one["function"], one["was"], one["becomes"]): one["reason"] for one in listed}


def report(results: list[Result], total: int, seconds: float) -> bool:
    """Print the shares, write the survivors, and return whether enough is noticed."""
    good = True
    print(f"\n{'module':34} noticed  timed out  survived  excused   share")
    names = sorted({result.mutant.module for result in results})
    for name in [*names, "all"]:
        some = [result for result in results if name in ("all", result.mutant.module)]
        n = {
            kind: sum(result.outcome == kind for result in some)
            for kind in ("failed", "timeout", "endless", "passed", "excused")
        }
        hung, judged = n["timeout"] + n["endless"], len(some) - n["excused"]
        share = (n["failed"] + hung) / judged if judged else 1.0
        enough = share >= (1 if name in COMPLETE else THRESHOLD)
        if name in COMPLETE or name == "all":
            good = good and enough
        print(
            f"{name:34} {n['failed']:7} {hung:10} {n['passed']:9} {n['excused']:8} {share:7.1%}"
            f"{'' if enough else '  too few'}"
        )
        if name == "all" and n["excused"] > EXCUSED * len(some):
            print(f"More than {EXCUSED:.0%} are excused.")
            good = False
    print(f"{len(results)} of about {total} possible changes in {seconds / 60:.1f} minutes")
    with (RESULTS / "survivors.txt").open("w", encoding="utf-8") as out:
        for result in results:
            if result.outcome in ("passed", "timeout", "endless"):
                mutant = result.mutant
                state = "survived" if result.outcome == "passed" else "timed out"
                original = (ROOT / mutant.module).read_text(encoding="utf-8")
                print(f"{mutant.module}:{mutant.line} {state} ({mutant.operator})", file=out)
                print(f"{mutant.diff(original)}\n", file=out)
    with (RESULTS / "results.json").open("w", encoding="utf-8") as out:
        rows = [
            {
                "module": r.mutant.module,
                "line": r.mutant.line,
                "operator": r.mutant.operator,
                "function": r.mutant.function,
            }
            | {"was": r.mutant.was, "becomes": r.mutant.becomes, "outcome": r.outcome, "seconds": round(r.seconds, 1)}
            for r in results
        ]
        json.dump(rows, out, indent=1)
    print(f"Survivors: {(RESULTS / 'survivors.txt').relative_to(ROOT)}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description="Test the tests.")
    parser.add_argument("--count", type=int, default=600, help="how many changes to try (600)")
    parser.add_argument("--seed", type=int, default=1, help="draws other changes (1)")
    parser.add_argument("--modules", nargs="*", default=[], help="only these, such as heists/rules.py (patterns too)")
    parser.add_argument(
        "--only", nargs="*", default=[], help="of the changes that are drawn, only those of these modules"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="list the drawn changes and end")
    options = parser.parse_args()
    started = time.monotonic()
    names = modules(ROOT, tuple(options.modules) or MODULES)
    only = modules(ROOT, tuple(options.only)) if options.only else names
    mutants, total = sample(names, options.count, options.seed, ROOT, only)
    if options.list:
        for mutant in mutants:
            print(f"{mutant.module}:{mutant.line} {mutant.operator}: {mutant.was} => {mutant.becomes}")
        return 0
    RESULTS.mkdir(parents=True, exist_ok=True)
    excused, plans = excuses(), {name: list(stages(name, ROOT)) for name in {mutant.module for mutant in mutants}}
    results = [Result(mutant, "excused") for mutant in mutants if mutant.key in excused]
    left = [mutant for mutant in mutants if mutant.key not in excused]
    with ExitStack() as stack:
        # Each result as it comes, of a run that may be stopped.
        progress = stack.enter_context((RESULTS / "progress.txt").open("w", encoding="utf-8"))
        url = stack.enter_context(postgres())
        workers = [Worker(number, url) for number in range(options.workers)]
        for worker in workers:
            stack.callback(worker.close)
        workers[0].ask(prepare=True, tests=[FIRST_TEST])
        for worker in workers[1:]:
            shutil.copyfile(workers[0].tree / "var" / "template.sqlite3", worker.tree / "var" / "template.sqlite3")
        print("Without any change:", flush=True)
        limits: Limits = {}
        measure(workers, (stage for name in only if name in plans for stage in plans[name]), limits)
        print(f"{len(left)} changes:", flush=True)

        def test(worker: Worker, number: int, mutant: Mutant) -> dict[str, Any]:
            requests = [as_request(stage, *limits[stage]) for stage in plans[mutant.module]]
            return worker.ask(module=mutant.module, source=mutant.source, number=number, stages=requests)

        def work(worker: Worker, job: tuple[int, Mutant]) -> None:
            number, mutant = job
            answer = test(worker, number, mutant)
            if answer["outcome"] == "timeout":
                # Other work may have taken the processor: what the tests take now says how long they may take.
                measure([worker], plans[mutant.module], limits)
                answer = test(worker, number, mutant)
            results.append(Result(mutant, answer["outcome"], answer["seconds"]))
            change = f"{mutant.module}:{mutant.line} {mutant.was} => {mutant.becomes}"
            print(answer["outcome"], change, sep="\t", file=progress, flush=True)
            if answer["outcome"] == "empty":
                raise SystemExit(f"no test: {answer['output']}")
            if answer["outcome"] != "failed":
                print(f"  {answer['outcome']}: {change}", flush=True)
            elif len(results) % 20 == 0:
                print(f"  {len(results)} of {len(mutants)}", flush=True)

        each(workers, enumerate(left, 1), work)
    return 0 if report(results, total, time.monotonic() - started) else 1


if __name__ == "__main__":
    sys.exit(main())
