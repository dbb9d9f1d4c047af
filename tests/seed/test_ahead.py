"""A large world is invented in a process of its own, and is the same world (heists/demo/ahead.py)."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction

from gamification.models import CoinEntry, PlayerProfile, PointEvent
from heists.demo.ahead import _invent
from heists.demo.batch import Batch
from heists.demo.world import World
from heists.models import Heist, HeistNotification, HeistToken, Shield, TokenGrant
from heists.services.demo import LEAST_HEISTS, LEAST_PLAYERS, seed_demo

from .test_demo import NOW

pytestmark = pytest.mark.django_db
WRITTEN = (Heist, HeistToken, TokenGrant, Shield, HeistNotification, PointEvent, CoinEntry, PlayerProfile)


def story() -> list[list[Any]]:
    """Build the smallest world, return what is in it, and undo it."""
    with transaction.atomic():
        seed_demo(players=LEAST_PLAYERS, heists=LEAST_HEISTS, now=NOW)
        # By number, as other worlds may have been here before; the first of each is the same somebody.
        firsts = {model: model.objects.order_by("pk").values_list("pk", flat=True)[0] for model in WRITTEN}
        told = [
            [
                [*row, pk - firsts[model]]
                for pk, *row in model.objects.order_by("pk").values_list("pk", *_plain_fields(model))
            ]
            for model in WRITTEN
        ]
        transaction.set_rollback(True)
    return told


def _plain_fields(model: Any) -> list[str]:
    """Everything but keys, and texts that hold one."""
    keys = {"id", "reference", "source", "metadata"}
    return [f.name for f in model._meta.concrete_fields if not f.is_relation and f.name not in keys]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heists.services.demo.LARGE", LEAST_HEISTS)
    # Several batches, so that there is something to invent ahead.
    monkeypatch.setattr("heists.services.demo.BATCH", LEAST_HEISTS // 4)


def test_it_is_the_same_world_wherever_it_is_invented(large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = story()
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    here = story()

    assert elsewhere == here
    assert len(here[0]) == LEAST_HEISTS


def test_another_process_invents_it(large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    batches, writers = World.batches, []

    def told_by(world: World, size: int) -> Iterator[Batch]:
        for batch in batches(world, size):
            batch.heists.clear()
            batch.letters[:] = [(os.getpid(),)]
            yield batch

    monkeypatch.setattr(World, "batches", told_by)
    monkeypatch.setattr("heists.services.demo._write", lambda batch, *rest: writers.extend(batch.letters))
    seed_demo(players=LEAST_PLAYERS, heists=LEAST_HEISTS, now=NOW)

    assert writers and os.getpid() not in {pid for (pid,) in writers}
    assert not multiprocessing.active_children()


def test_an_inventor_that_is_killed_leaves_nothing_behind(large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = World.batches

    def dies(world: World, size: int) -> Iterator[Batch]:
        yield next(batches(world, size))
        os._exit(1)

    monkeypatch.setattr(World, "batches", dies)

    with pytest.raises(EOFError):
        seed_demo(players=LEAST_PLAYERS, heists=LEAST_HEISTS, now=NOW)

    assert not any(model.objects.exists() for model in WRITTEN)
    assert not multiprocessing.active_children()


def test_an_inventor_ends_where_its_writer_is_gone() -> None:
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    endless = itertools.repeat(Batch(heists=[("row",)] * 100_000))
    inventor = context.Process(target=_invent, args=(endless, [], receiving, sending), daemon=True)
    inventor.start()
    try:
        sending.close()
        receiving.recv()
        # What a kill does to the writer's end.
        receiving.close()
        inventor.join(30)
        assert inventor.exitcode == 0
    finally:
        inventor.kill()
        inventor.join()


def test_a_writer_that_fails_ends_the_inventor(large: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("heists.services.demo._write", fail)

    with pytest.raises(OSError, match="disk"):
        seed_demo(players=LEAST_PLAYERS, heists=LEAST_HEISTS, now=NOW)

    assert not multiprocessing.active_children()
