"""The services compared with hand-written SQL. The two take turns: a busy moment of the machine affects both alike."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from statistics import mean, median
from typing import Any, NamedTuple

import psycopg
from django.db import connection
from django.test.utils import CaptureQueriesContext

from heists.api.heists import HistoryPagination
from heists.api.notifications import NotificationPagination
from heists.api.pagination import PageSlice
from heists.choices import HeistStatus
from heists.conf import rules
from heists.economy import get_economy
from heists.models import HeistToken, RuleSet
from heists.queries import me as own_state
from heists.queries import preview
from heists.services import execute_heist

from . import raw
from .world import Recruits, veterans

FIRST_PAGE = PageSlice(21, backwards=False, position=None)


def measure(url: str, *, rounds: int, calls: int) -> dict[str, Any]:
    """Return, for an execution and each read, milliseconds of the service and of the raw SQL, and their ratio."""
    recruits = Recruits()
    rule_set = RuleSet.objects.in_force(rules())
    with psycopg.connect(url, autocommit=True) as bare:
        figures = {"execution": _execution(bare, recruits, rule_set.pk, rounds, calls)}
        players = veterans(calls)
        for name, (service, plain) in _reads(bare, players).items():
            figures[name] = _compare(service, plain, players, rounds)
    return figures


def _execution(bare: Any, recruits: Recruits, rule_set_id: int, rounds: int, calls: int) -> dict[str, Any]:
    mine: list[list[Taken]] = []
    theirs: list[list[Taken]] = []
    for number in range(rounds + 1):
        ours, plain = [], []
        for pair, raw_pair in zip(recruits.pairs(calls), recruits.pairs(calls), strict=True):
            ours.append(_time(_rob, *pair))
            plain.append(_time(raw.rob, bare, *raw_pair, rule_set_id, str(uuid.uuid4())))
        # The first round warms caches and prepared statements.
        if number:
            mine.append(ours)
            theirs.append(plain)
    (attacker, victim), (_attacker, another) = recruits.pairs(2)
    with CaptureQueriesContext(connection) as execution:
        _rob(attacker, victim)
    with CaptureQueriesContext(connection) as rejection:
        heist = execute_heist(attacker_id=attacker, victim_id=another)
    assert not heist.is_outcome
    rejections = [_time(lambda: execute_heist(attacker_id=attacker, victim_id=another)) for _ in range(calls)]
    return {
        **_figures(mine, theirs),
        "statements": len(execution),
        "rejection_ms": round(median(call.wall for call in rejections), 3),
        "rejection_statements": len(rejection),
    }


def _rob(attacker: int, victim: int) -> None:
    heist = execute_heist(
        attacker_id=attacker, victim_id=victim, ip_address="203.0.113.9", idempotency_key=str(uuid.uuid4())
    )
    assert heist.status == HeistStatus.SUCCESS, heist.failure_code


def _reads(bare: Any, players: list[int]) -> dict[str, tuple[Callable[[int], Any], Callable[[int], Any]]]:
    board = [row[0] for row in bare.execute(raw.BOARD)]

    def history_page(me: int) -> Any:
        return HistoryPagination(me).read_rows({}, FIRST_PAGE)

    def feed(me: int) -> Any:
        return NotificationPagination(me).read_rows({}, FIRST_PAGE)

    def other(me: int) -> int:
        return players[0] if me != players[0] else players[-1]

    def previews(me: int, victims: list[int]) -> Any:
        return preview.targets(attacker_id=me, victim_ids=victims, economy=get_economy())

    def targets(me: int) -> Any:
        listed = get_economy().leaderboard().exclude(pk=me).filter(is_active=True)[:20]
        return previews(me, [player.pk for player in listed])

    def plain(sql: str) -> Callable[[int], Any]:
        return lambda me: bare.execute(sql, (me,)).fetchall()

    return {
        "balance": (
            lambda me: HeistToken.objects.get(user=me),
            plain(raw.BALANCE),
        ),
        "me": (
            lambda player: own_state.read(player, economy=get_economy()),
            lambda player: bare.execute(raw.ME, raw.window(player, [])).fetchall(),
        ),
        "preview": (
            lambda me: previews(me, [other(me)]),
            lambda me: bare.execute(raw.PREVIEW, raw.window(me, [other(me)])).fetchall(),
        ),
        "feed": (
            feed,
            plain(raw.FEED),
        ),
        "history": (
            history_page,
            lambda me: bare.execute(raw.HISTORY_PAGE, {"me": me}).fetchall(),
        ),
        "targets": (
            targets,
            lambda me: bare.execute(raw.PREVIEW, raw.window(me, board)).fetchall(),
        ),
    }


def _compare(
    service: Callable[[int], Any], plain: Callable[[int], Any], players: list[int], rounds: int
) -> dict[str, Any]:
    mine: list[list[Taken]] = []
    theirs: list[list[Taken]] = []
    for number in range(rounds + 1):
        ours, others = [], []
        for me in players:
            ours.append(_time(service, me))
            others.append(_time(plain, me))
        if number:
            mine.append(ours)
            theirs.append(others)
    with CaptureQueriesContext(connection) as done:
        service(players[0])
    return {**_figures(mine, theirs), "statements": len(done)}


def _figures(mine: list[list[Taken]], theirs: list[list[Taken]]) -> dict[str, Any]:
    """Return the median of the rounds' medians. The CPU time is meaningful on a busy machine too."""
    ours, plain = ([median(call.wall for call in calls) for calls in rounds] for rounds in (mine, theirs))
    our_cpu, plain_cpu = ([mean(call.cpu for call in calls) for calls in rounds] for rounds in (mine, theirs))
    return {
        "service_ms": round(median(ours), 3),
        "raw_ms": round(median(plain), 3),
        "ratio": round(median(a / b for a, b in zip(ours, plain, strict=True)), 2),
        "service_cpu_ms": round(median(our_cpu), 3),
        "raw_cpu_ms": round(median(plain_cpu), 3),
    }


class Taken(NamedTuple):
    """Milliseconds of one call: on the clock, and of this process's own processor time."""

    wall: float
    cpu: float


def _time(call: Callable[..., Any], *args: Any) -> Taken:
    begun, cpu = time.perf_counter(), time.process_time()
    call(*args)
    return Taken((time.perf_counter() - begun) * 1000, (time.process_time() - cpu) * 1000)
