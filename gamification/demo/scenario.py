"""The scripted events of the named cast, which leave each player in the state that `players.CAST` names."""

from __future__ import annotations

from typing import NamedTuple

from heists.choices import GrantReason


class Attack(NamedTuple):
    """The player attacks the victim."""

    hours_before_end: float
    player: str
    victim: str


class Grant(NamedTuple):
    """The player is granted tokens."""

    hours_before_end: float
    player: str
    tokens: int
    reason: GrantReason


class Purchase(NamedTuple):
    """The player buys a shield."""

    hours_before_end: float
    player: str


class Return(NamedTuple):
    """Staff return the points of the player's last success against the victim."""

    hours_before_end: float
    player: str
    victim: str


EVENTS: list[Attack | Grant | Purchase | Return] = [
    Attack(20 * 24, "grace", "bob"),
    Attack(12 * 24, "alice", "oscar"),
    Purchase(10 * 24, "victor"),  # expires unused
    Grant(9 * 24, "alice", 1, GrantReason.REFUND),
    Attack(5 * 24, "alice", "heidi"),
    Attack(4 * 24, "victor", "alice"),
    Return(4 * 24 - 0.1, "victor", "alice"),
    Purchase(48, "dave"),
    Grant(40, "alice", 2, GrantReason.STAFF),
    Purchase(30, "heidi"),
    Grant(26, "frank", 1, GrantReason.PROMOTION),
    Attack(25, "frank", "oscar"),
    Attack(9, "mallory", "erin"),
    Attack(8, "frank", "bob"),
    Attack(7.5, "mallory", "mallory"),
    Attack(7, "mallory", "ivan"),
    Attack(6, "victor", "carol"),
    *(Attack(5 - attempt / 20, "mallory", "carol") for attempt in range(12)),
    Attack(2, "grace", "heidi"),
    Attack(1.5, "grace", "bob"),
    Grant(0.2, "alice", 1, GrantReason.PROMOTION),
]
ATTACKS = sum(isinstance(event, Attack) for event in EVENTS)
