"""Compares what token rows keep of deleted heists with what else is left of them (docs/specification.md, "Data")."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from django.db.models import BigIntegerField, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from ..choices import HeistNotificationType
from ..models import DeletedLoss
from ..rules import CLOCK_TOLERANCE
from .base import CHUNK_ROWS, AuditData, Broken, check, in_chunks, read_losses
from .heists import LOSSES_KEPT


@check("loss_kept_unreadable", ids={"player": "user_id"}, numbers=("losses_on_deleted",))
def readable(data: AuditData) -> Broken:
    """What a token row keeps of losses to deleted accounts can be read, and each of its heists is there once."""
    for token in data.tokens.filter(losses_on_deleted__isnull=False):
        losses = read_losses(token)
        if not losses or len({loss.heist_id for loss in losses}) < len(losses):
            yield {"user_id": token.user_id, "losses_on_deleted": token.losses_on_deleted}


@check("loss_kept_wrong", ids={"player": "player", "heist": "heist"}, numbers=("points", "at", "found"))
def kept_losses(data: AuditData) -> Broken:
    """A loss that a token row keeps is of a heist against the player that was deleted, with its points and time."""
    rest = [(player, loss) for player, losses in data.deleted_losses.items() for loss in losses]
    for start in range(0, len(rest), CHUNK_ROWS):
        yield from _wrong(data, rest[start : start + CHUNK_ROWS])


def _wrong(data: AuditData, kept: list[tuple[Any, DeletedLoss]]) -> Iterator[dict[str, Any]]:
    ids = [loss.heist_id for _player, loss in kept]
    there = set(data.heists.filter(pk__in=ids).values_list("pk", flat=True))
    victims = dict(data.attempt_log.filter(pk__in=ids).values_list("pk", "victim_id"))
    events = data.economy.point_events(ids)
    moved: dict[tuple[int, Any], int] = {}
    for event in events or ():
        # The event of a reversal is a gain of the victim.
        if event.points < 0:
            moved[event.heist_id, event.player_id] = -event.points
    notified = _notified(data, {player for player, _loss in kept})
    for player, loss in kept:
        found = None
        if loss.heist_id in there:
            found = "the heist"
        elif victims.get(loss.heist_id) != player:
            found = "no deleted heist against the player"
        elif events is not None and (points := moved.get((loss.heist_id, player))) != loss.points:
            found = f"a point event of {points} points"
        elif loss.at > data.notifications_kept_since and not _is_among(loss, notified.get(player, ())):
            found = "no notification of the points at the time"
        if found:
            yield {"player": player, "heist": loss.heist_id, "points": loss.points, "at": loss.at, "found": found}


def _notified(data: AuditData, players: Collection[Any]) -> dict[Any, list[DeletedLoss]]:
    """Return the losses to deleted accounts of which these players have a notification; each without its heist."""
    found: dict[Any, list[DeletedLoss]] = {}
    for pk, player, points, at in _of_deleted(data).filter(user__in=players).iterator():
        found.setdefault(player, []).append(DeletedLoss(pk, points, at))
    return found


def _of_deleted(data: AuditData) -> QuerySet[Any]:
    """Return the key, player, points and time of each notification of a loss to an account that was deleted since."""
    rows = data.notifications.filter(type=HeistNotificationType.HEIST_VICTIM, heist=None)
    points = Cast(KT("metadata__points"), BigIntegerField())
    return rows.annotate(points=points).values_list("pk", "user_id", "points", "created_at")


def _is_among(loss: DeletedLoss, others: Iterable[DeletedLoss]) -> bool:
    return any(loss.points == other.points and abs(loss.at - other.at) <= CLOCK_TOLERANCE for other in others)


@check("loss_not_kept", ids={"player": "user_id", "notification": "pk"}, numbers=("points", "created_at"))
def lost_losses(data: AuditData) -> Broken:
    """The last loss to a deleted account is kept, and those of the 32 days before it."""
    for chunk in in_chunks(_of_deleted(data)):
        for pk, player, points, at in chunk:
            kept = data.deleted_losses.get(player, [])
            if kept and at <= kept[-1].at - LOSSES_KEPT + CLOCK_TOLERANCE:
                continue
            if not _is_among(DeletedLoss(pk, points, at), kept):
                yield {"pk": pk, "user_id": player, "points": points, "created_at": at}


CHECKS = (readable, kept_losses, lost_losses)
