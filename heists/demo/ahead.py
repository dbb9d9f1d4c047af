"""Inventing the next stretch of the story while this one is written, so that two processors are busy.

A thread would not do: inventing and writing are both work of Python's own, which one process does by turns.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from operator import attrgetter
from typing import Any

from .batch import Batch
from .host import DemoPlayer

# What the story changes of a player, and the rows at its end are made of.
STATE = (
    "points",
    "coins",
    "tokens",
    "tokens_earned",
    "tokens_spent",
    "has_token_row",
    "last_earned_at",
    "last_spent_at",
)


def ahead(batches: Iterator[Batch], players: Sequence[DemoPlayer]) -> Iterator[Batch]:
    """Yield the batches of a story that a process of its own invents, and bring the players to where it leaves them.

    Where the platform can't fork, it is invented here. Raises EOFError where the inventor is killed.
    """
    if "fork" not in multiprocessing.get_all_start_methods():
        yield from batches
        return
    # Forked, so that the story begins with the very players that the caller holds; nothing of them is sent there.
    context: Any = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    inventor = context.Process(target=_invent, args=(batches, players, receiving, sending), daemon=True)
    inventor.start()
    # Each side keeps its own end only, so that neither waits for one that was killed.
    sending.close()
    by_key = {player.key: player for player in players}
    try:
        while batch := receiving.recv():
            yield batch.with_players(by_key)
        for player, state in zip(players, receiving.recv(), strict=True):
            for name, value in zip(STATE, state, strict=True):
                setattr(player, name, value)
    finally:
        inventor.kill()
        inventor.join()
        receiving.close()


def _invent(
    batches: Iterator[Batch], players: Sequence[DemoPlayer], receiving: Connection, sending: Connection
) -> None:
    """Send each batch, None, and each player's state. Never touches the database, whose connection is the caller's."""
    # An interrupt is the caller's to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    receiving.close()
    # Broken where the writer is gone, and with it whoever wanted to hear the story.
    with suppress(BrokenPipeError):
        for batch in batches:
            sending.send(batch.with_keys())
        sending.send(None)
        sending.send([*map(attrgetter(*STATE), players)])
