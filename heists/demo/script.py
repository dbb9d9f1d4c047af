"""The scenes of the named cast, which leave each of them where `people.CAST` says they are."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from ..choices import GrantReason


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that happens `ago` before the end."""

    ago: dt.timedelta
    player: str


@dataclass(frozen=True, slots=True)
class Attack(Scene):
    """The player tries to rob the victim."""

    victim: str


@dataclass(frozen=True, slots=True)
class Gift(Scene):
    """The player is granted tokens."""

    amount: int
    reason: GrantReason


@dataclass(frozen=True, slots=True)
class Purchase(Scene):
    """The player buys a shield."""


def _hours(hours: float) -> dt.timedelta:
    return dt.timedelta(hours=hours)


SCENES: list[Scene] = sorted(
    [
        Attack(_hours(20 * 24), "grace", "bob"),
        Attack(_hours(12 * 24), "alice", "oscar"),
        Purchase(_hours(10 * 24), "victor"),  # expires unused
        Gift(_hours(9 * 24), "alice", 1, GrantReason.REFUND),
        Attack(_hours(5 * 24), "alice", "heidi"),
        Attack(_hours(4 * 24), "victor", "alice"),
        Purchase(_hours(48), "dave"),
        Gift(_hours(40), "alice", 2, GrantReason.STAFF),
        Purchase(_hours(30), "heidi"),
        Gift(_hours(26), "frank", 1, GrantReason.PROMOTION),
        Attack(_hours(25), "frank", "oscar"),
        Attack(_hours(9), "mallory", "erin"),
        Attack(_hours(8), "frank", "bob"),
        Attack(_hours(7.5), "mallory", "mallory"),
        Attack(_hours(7), "mallory", "ivan"),
        Attack(_hours(6), "victor", "carol"),
        *(Attack(_hours(5 - attempt / 20), "mallory", "carol") for attempt in range(12)),
        Attack(_hours(2), "grace", "heidi"),
        Attack(_hours(1.5), "grace", "bob"),
        Gift(_hours(0.2), "alice", 1, GrantReason.PROMOTION),
    ],
    key=lambda scene: -scene.ago,
)
ATTACKS = sum(isinstance(scene, Attack) for scene in SCENES)
