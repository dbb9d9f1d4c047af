"""Truces that begin, end or are withdrawn at a month's end, while a heist runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from heists.models import Heist, Truce
from heists.services import execute_heist, set_truce, truces
from tests.concurrency import at_once
from tests.factories import player
from tests.heists.queries.test_facts_joins import Clock, clock_at

from .staging import SUCCESS, ConcurrentCall, concurrent_at

pytestmark = [pytest.mark.postgresql, pytest.mark.usefixtures("isolation", "audited")]

INSTANT = dt.timedelta(microseconds=1)
DAY = dt.timedelta(days=1)
MAY, JUNE, JULY = (dt.datetime(2026, month, 1, tzinfo=dt.UTC) for month in (5, 6, 7))
# Where the heist has not read its facts under the lock yet.
UNDECIDED = SUCCESS[: SUCCESS.index("after the second look")]

at_each_point = pytest.mark.parametrize("point", SUCCESS)
of_each_side = pytest.mark.parametrize("role", ["attacker", "victim"])


@pytest.fixture
def clock(isolation: str) -> Iterator[Clock]:
    with clock_at(JUNE + DAY) as clock:
        yield clock


@pytest.fixture
def pair(clock: Clock) -> dict[str, Any]:
    """A robber and a victim with points, in the last moment of May; their points are already those of June."""
    clock.now = JUNE
    pair = {"attacker": player("alice", points=1000, tokens=1), "victim": player("bob", points=1000)}
    clock.now = JUNE - INSTANT
    return pair


def robbing(pair: dict[str, Any]) -> Callable[[], Heist]:
    return lambda: execute_heist(attacker_id=pair["attacker"].pk, victim_id=pair["victim"].pk)


def wishing(user: Any, wanted: bool) -> Callable[[], Any]:
    return lambda: set_truce(player_id=user.pk, wanted=wanted)


def turning(clock: Clock) -> Callable[[], None]:
    def turn() -> None:
        clock.now = JUNE

    return turn


def one_after_the_other(*calls: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        for call in calls:
            call()

    return run


def race(point: str, heist: Callable[[], Heist], call: Callable[[], Any]) -> str | None:
    """Run the heist, with the call at the point; return the code of its failure."""
    with concurrent_at(point, call) as concurrent:
        result = heist()
    if concurrent.error:
        raise concurrent.error
    return result.failure_code


def span() -> tuple[dt.datetime, dt.datetime | None]:
    truce = Truce.objects.get()
    return truce.starts_at, truce.ends_at


CODES = {"attacker": "own_truce", "victim": "truce"}


@of_each_side
@at_each_point
def test_a_wish_while_a_heist_runs(pair: dict[str, Any], role: str, point: str) -> None:
    assert race(point, robbing(pair), wishing(pair[role], True)) is None

    assert span() == (JUNE, None)


@of_each_side
@at_each_point
def test_a_truce_that_begins_while_a_heist_runs(pair: dict[str, Any], clock: Clock, role: str, point: str) -> None:
    set_truce(player_id=pair[role].pk, wanted=True)

    code = race(point, robbing(pair), turning(clock))

    assert code == (CODES[role] if point in UNDECIDED else None)
    assert Heist.objects.get().created_at == (JUNE if point in UNDECIDED else JUNE - INSTANT)


@of_each_side
@pytest.mark.parametrize("point", ["before the first look", "after the first look", "after the heist is written"])
def test_a_truce_that_ends_while_a_heist_runs(pair: dict[str, Any], clock: Clock, role: str, point: str) -> None:
    Truce.objects.create(player=pair[role], starts_at=MAY, ends_at=JUNE, created_at=MAY - DAY)

    code = race(point, robbing(pair), turning(clock))

    # A rejection takes no lock: the clock decides that was read before the first look.
    heist = Heist.objects.get()
    assert (code, heist.created_at, heist.retry_at) == (CODES[role], JUNE - INSTANT, JUNE)


@of_each_side
@pytest.mark.parametrize("turns_first", [False, True])
@at_each_point
def test_a_truce_that_is_withdrawn_at_the_turn_while_a_heist_runs(
    pair: dict[str, Any], clock: Clock, role: str, turns_first: bool, point: str
) -> None:
    set_truce(player_id=pair[role].pk, wanted=True)
    calls = [turning(clock), wishing(pair[role], False)]

    code = race(point, robbing(pair), one_after_the_other(*(calls if turns_first else calls[::-1])))

    # Withdrawn in May it never begins; in June it lasts for the month.
    assert span() == (JUNE, JULY if turns_first else JUNE)
    assert code == (CODES[role] if turns_first and point in UNDECIDED else None)


@of_each_side
def test_a_heist_that_waits_for_a_wish_over_the_turn_is_judged_with_it(
    pair: dict[str, Any], clock: Clock, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, heist = truces._change, ConcurrentCall(robbing(pair))

    def change_while_a_heist_waits(*args: Any) -> Any:
        truce = change(*args)
        if heist.ident is None:
            heist.start()
            heist.settle()
            assert heist.is_alive(), "the heist waits for the lock"
            clock.now = JUNE
        return truce

    monkeypatch.setattr(truces, "_change", change_while_a_heist_waits)

    set_truce(player_id=pair[role].pk, wanted=True)
    heist.finish()

    assert heist.error is None
    assert (heist.result.failure_code, heist.result.created_at) == (CODES[role], JUNE)
    assert span() == (JUNE, None)


def test_twenty_wishes_at_once_leave_one_truce(pair: dict[str, Any]) -> None:
    results = at_once(*(wishing(pair["victim"], True) for _ in range(20)))

    assert {truce.pk for truce in results} == {Truce.objects.get().pk}
    assert span() == (JUNE, None)
