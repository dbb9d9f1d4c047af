"""Players' names as staff read them: the one that players see, and the user name beside it where that is another.

The names of a page are looked up at once, because an economy may keep them in a table of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import user_model
from ..economy import get_economy


def name_players(players: Iterable[Any]) -> dict[Any, str]:
    """Return what staff call each player, by primary key, and keep it on the instances for `player_name` and titles.

    None among the players is skipped.
    """
    found = [player for player in players if player is not None]
    if not found:
        return {}
    names = get_economy().names({player.pk: player for player in found}.values())
    for player in found:
        player.heists_name = _beside_username(player, names[player.pk])
    return {player.pk: player.heists_name for player in found}


def player_name(player: Any) -> str:
    """Return what staff call a player."""
    named: str | None = vars(player).get("heists_name")
    return named if named is not None else name_players([player])[player.pk]


def _beside_username(player: Any, name: str) -> str:
    username = user_model.username(player)
    return name if username in ("", name) else f"{name} ({username})"
