"""The endpoints on the production server, beside hand-written SQL."""

from __future__ import annotations

import multiprocessing
import os
import time
from statistics import median
from typing import Any

from django.contrib.auth import get_user_model
from knox.models import AuthToken

from heists.conf import rules
from heists.models import RuleSet

from . import load, raw
from .load import READS, Call, Run
from .world import Recruits, veterans

CLIENTS = (1, 8, 32)
ROUNDS = 3
# The number of clients that the targets are about.
COMPARED = 8
BARE, DISTINCT, HOT = "bare", "rob, distinct pairs", "rob, one hot victim"
READERS = 16


def measure(url: str, *, requests: int) -> dict[str, Any]:
    """Return requests a second, latencies, errors and CPU of each endpoint, for 1, 8 and 32 clients.

    The endpoints and the raw SQL take turns, round by round: a busy moment of the machine affects all alike.
    """
    recruits = Recruits()
    readers = [(key, _token(key)) for key in veterans(READERS * 2)[:READERS]]
    rounds: dict[int, list[dict[str, Run]]] = {clients: [] for clients in CLIENTS}
    raw_per_second = []
    with load.serving(load.ROOT, load.SERVER, os.environ) as server:
        for _round in range(ROUNDS):
            for clients in CLIENTS:
                calls = _calls(recruits, readers, max(requests // ROUNDS, clients))
                rounds[clients].append({what: load.run(what, server, clients, some) for what, some in calls.items()})
                if clients == COMPARED:
                    raw_per_second.append(_raw_per_second(url, recruits, max(requests // ROUNDS, clients)))
    runs = [_figures(what, clients, some) for clients, some in rounds.items() for what in some[0]]
    robberies = [some[DISTINCT].per_second for some in rounds[COMPARED]]
    return {
        "runs": runs,
        "raw_per_second": round(median(raw_per_second), 1),
        "x_raw": round(median(ours / bare for ours, bare in zip(robberies, raw_per_second, strict=True)), 3),
    }


def _calls(recruits: Recruits, readers: list[tuple[int, str]], count: int) -> dict[str, list[Call]]:
    """Return `count` requests to each endpoint, by name."""
    aims = [(path, token) for (key, token), path in zip(readers, _targets(readers), strict=True)]
    attackers, (hot,) = recruits.take(count), recruits.take(1)
    return {
        **{name: _gets(path, readers, count) for name, path in READS.items()},
        "preview": [_get(*aims[n % len(aims)]) for n in range(count)],
        DISTINCT: [_rob(attacker, victim, (201,)) for attacker, victim in recruits.pairs(count)],
        HOT: [_rob(attacker, hot, (201, 409)) for attacker in attackers],
    }


def _figures(what: str, clients: int, rounds: list[dict[str, Run]]) -> dict[str, Any]:
    """Return the figures of one endpoint."""
    return {
        "what": what,
        "clients": clients,
        **load.figures([some[what] for some in rounds]),
        "x_bare": round(median(some[what].cpu_ms / (some[BARE].cpu_ms or 1) for some in rounds), 2),
    }


def _token(player: int) -> str:
    return str(AuthToken.objects.create(user=get_user_model().objects.get(pk=player))[1])


def _targets(readers: list[tuple[int, str]]) -> list[str]:
    return [f"/api/heists/targets/{readers[n - 1][0]}/" for n in range(len(readers))]


def _get(path: str, token: str) -> Call:
    return Call("GET", path, token)


def _gets(path: str, readers: list[tuple[int, str]], count: int) -> list[Call]:
    return [_get(path, readers[n % len(readers)][1]) for n in range(count)]


def _rob(attacker: int, victim: int, right: tuple[int, ...]) -> Call:
    return Call("POST", "/api/heists/", _token(attacker), {"victim": victim}, right)


def _raw_per_second(url: str, recruits: Recruits, requests: int) -> float:
    """Return how many heists a second two processes execute in hand-written SQL, four connections each."""
    rule_set_id = RuleSet.objects.in_force(rules()).pk
    halves = [recruits.pairs(requests), recruits.pairs(requests)]
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(3), context.Barrier(3)
    processes = [context.Process(target=raw.work, args=(url, half, rule_set_id, ready, done)) for half in halves]
    for process in processes:
        process.start()
    ready.wait(60)
    begun = time.perf_counter()
    done.wait(600)
    seconds = time.perf_counter() - begun
    for process in processes:
        process.join()
    return 2 * requests / seconds
