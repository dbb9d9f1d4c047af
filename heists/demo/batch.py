"""The rows of one stretch of the story, in the order of the columns named here.

Two columns are put into words only when they are written (`news.Words`): until then a heist's `failure_reason` is a
failure code and its `retry_at`, a notification's `message` is empty and its `metadata` a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .host import DemoPlayer, DemoPurchase, DemoTransfer

HEIST_COLUMNS = (
    "id",
    "attacker",
    "victim",
    "points_stolen",
    "victim_points_before",
    "victim_points_after",
    "attacker_points_before",
    "attacker_points_after",
    "token_spent",
    "status",
    "failure_code",
    "failure_reason",
    "retry_at",
    "ip_address",
    "idempotency_key",
    "rules",
    "created_at",
)
GRANT_COLUMNS = ("id", "player", "amount", "reason", "source", "note", "granted_by", "created_at")
SHIELD_COLUMNS = ("id", "player", "cost", "bought_at", "expires_at", "used_at", "used_by", "expired_at")
NOTIFICATION_COLUMNS = (
    "id",
    "user",
    "heist",
    "type",
    "message",
    "metadata",
    "read",
    "email_sent",
    "email_sent_at",
    "created_at",
)
LETTER_COLUMNS = ("notification", "state", "due_at", "attempts", "last_error", "created_at")
TOKEN_COLUMNS = (
    "user",
    "balance",
    "total_earned",
    "total_spent",
    "last_earned_at",
    "last_spent_at",
    "created_at",
    "updated_at",
)

Row = tuple[Any, ...]


@dataclass(slots=True)
class Batch:
    """What happened in one stretch of the story, as rows."""

    heists: list[Row] = field(default_factory=list)
    grants: list[Row] = field(default_factory=list)
    shields: list[Row] = field(default_factory=list)
    notifications: list[Row] = field(default_factory=list)
    letters: list[Row] = field(default_factory=list)
    transfers: list[DemoTransfer] = field(default_factory=list)
    purchases: list[DemoPurchase] = field(default_factory=list)

    def with_keys(self) -> Batch:
        """Return the batch with players' keys in their places, to be sent to another process."""
        # Plain tuples: those with names take several times as long to send.
        transfers: Any = [(t.heist_id, t.attacker.key, t.victim.key, t.points, t.at) for t in self.transfers]
        purchases: Any = [(p.player.key, p.coins, p.reference, p.at) for p in self.purchases]
        return replace(self, transfers=transfers, purchases=purchases)

    def with_players(self, players: Mapping[Any, DemoPlayer]) -> Batch:
        """Return the batch with players in the places of their keys."""
        sent: Any = self
        return replace(
            self,
            transfers=[
                DemoTransfer(heist_id, players[attacker], players[victim], points, at)
                for heist_id, attacker, victim, points, at in sent.transfers
            ],
            purchases=[
                DemoPurchase(players[player], coins, reference, at) for player, coins, reference, at in sent.purchases
            ],
        )
