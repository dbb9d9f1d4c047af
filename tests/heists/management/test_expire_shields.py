"""The command outlives a database that is away for a while, and counts what it did before."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from heists.errors import Busy
from heists.models import Shield
from heists.rules import DAY
from heists.services import shields
from tests.factories import player

pytestmark = pytest.mark.django_db


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Make each batch fail for which this list says so."""
    fails: list[bool] = []
    batch = shields._expire_batch

    def expire(*args: Any) -> int:
        if fails and fails.pop(0):
            raise Busy
        return batch(*args)

    monkeypatch.setattr(shields, "_expire_batch", expire)
    now = timezone.now()
    for _ in range(3):
        Shield.objects.create(player=player(), cost=1, bought_at=now - 8 * DAY, expires_at=now - DAY)
    return fails


def test_it_waits_and_goes_on(away: list[bool], pauses: list[float]) -> None:
    away += [False, True, True, False]
    said = io.StringIO()

    call_command("expire_shields", batch=1, stdout=said, stderr=io.StringIO())

    assert said.getvalue() == "3 shields expired.\n"
    assert pauses == [1, 2]


def test_it_gives_up_after_half_a_minute(away: list[bool], pauses: list[float]) -> None:
    away += [True] * 100

    with pytest.raises(Busy):
        call_command("expire_shields", stderr=io.StringIO())

    assert sum(pauses) == 31


def test_each_pause_says_why_on_standard_error(away: list[bool], pauses: list[float]) -> None:
    away += [True, True]
    said, problems = io.StringIO(), io.StringIO()

    call_command("expire_shields", stdout=said, stderr=problems)

    assert said.getvalue() == "3 shields expired.\n"
    assert problems.getvalue() == f"{Busy()}\n" * 2


def test_the_last_try_after_the_longest_pause_counts(away: list[bool], pauses: list[float]) -> None:
    away += [True] * 5
    said = io.StringIO()

    call_command("expire_shields", stdout=said, stderr=io.StringIO())

    assert pauses == [1, 2, 4, 8, 16]
    assert said.getvalue() == "3 shields expired.\n"


def test_the_batch_is_that_of_each_try(away: list[bool], pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []

    def expire(*, batch: int, on_batch: Any) -> int:
        batches.append(batch)
        if len(batches) < 6:
            raise Busy
        return 0

    monkeypatch.setattr("heists.management.commands.expire_shields.expire_shields", expire)
    call_command("expire_shields", batch=2, stdout=io.StringIO(), stderr=io.StringIO())

    assert batches == [2] * 6
