"""Return the points of a heist (docs/specification.md, "Reversals")."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any

from django.db import router, transaction
from django.utils import timezone

from .. import signals
from ..choices import GrantReason, HeistNotificationType, HeistStatus
from ..db.atomic import durable_atomic, require_outermost
from ..db.retry import retry_transient
from ..economy import Economy, get_economy
from ..errors import (
    AlreadyReversed,
    AmountChanged,
    AnotherMonth,
    BalanceFull,
    InvalidReversal,
    NoReversals,
    NotASuccess,
    NothingLeft,
    UnknownHeist,
)
from ..models import Heist, Reversal
from ..models.reversals import REVERSAL_TEXT_MAX_LENGTH
from ..models.tokens import REFUND_SOURCE
from ..rules import MAX_POINTS, next_month
from ..user_model import MAX_INTEGER, staff_name
from . import notifications, tokens

logger = logging.getLogger("heists")

LOG_LINE = "reversed heist=%(heist_id)s attacker=%(attacker_id)s victim=%(victim_id)s points=%(points_returned)s"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a reversal would do at `now`: the points it returns, both balances before it, and the heist's tokens."""

    heist: Heist
    now: dt.datetime
    points: int
    attacker_points: int
    victim_points: int
    tokens: int


def reverse_heist(
    *,
    heist_id: int,
    reversed_by: Any,
    reason: str,
    note: str = "",
    return_token: bool = False,
    expected_points: int | None = None,
) -> Reversal:
    """Return the points of a success from the attacker to the victim, once, and return the reversal.

    1. Lock both players' balances in primary-key order, and read the heist, its reversal and the balances.
    2. Check that it is a success of the current month that was not reversed, and that the attacker has points left.
       The month is that of the heist's own rules, in their time zone; the clock is read under the lock.
    3. Insert the reversal; its unique heist decides between two members of staff. Move the points.
    4. Give the tokens back where `return_token` is set and the heist cost any. Notify both players.

    All of it is one durable transaction. Where the attacker has less than was stolen, all that they have is returned.
    `reason` is for staff, `note` for both players. `expected_points` is the number that the member of staff saw.

    Raises InvalidReversal (code_detail), NoReversals, UnknownHeist, NotASuccess, AlreadyReversed (points, at, by),
    AnotherMonth (ended_at), NothingLeft (required, available), BalanceFull, AmountChanged (expected, available), Busy,
    OutcomeUnknown.
    """
    using = router.db_for_write(Heist)
    require_outermost(using)
    for name, text in (("reason", reason), ("note", note)):
        if len(text) > REVERSAL_TEXT_MAX_LENGTH or "\x00" in text or (name == "reason" and not text.strip()):
            raise InvalidReversal(code_detail=name)
    return _reverse(heist_id, reversed_by, reason, note, return_token, expected_points, using)


def plan_reversal(heist_id: int) -> Plan:
    """Return what `reverse_heist` would do now. Raises what it would raise."""
    using = router.db_for_write(Heist)
    return _plan(heist_id, get_economy(), using)


@retry_transient
def _reverse(
    heist_id: int, by: Any, reason: str, note: str, return_token: bool, expected: int | None, using: str
) -> Reversal:
    economy = get_economy()
    # The host's lock may create a balance row, so a player who was deleted must not reach it.
    seen = _plan(heist_id, economy, using).heist
    with durable_atomic(using, repeatable=False):
        economy.lock(seen.attacker_id, seen.victim_id)
        plan = _plan(heist_id, economy, using)
        if expected is not None and plan.points != expected:
            raise AmountChanged(expected=expected, available=plan.points)
        reversal = _insert_reversal(plan, by, reason, note, return_token, using)
        economy.give_back(reversal)
        if reversal.token_returned:
            tokens.record_grant(
                player=plan.heist.attacker,
                amount=plan.tokens,
                reason=GrantReason.REFUND,
                source=f"{REFUND_SOURCE}{plan.heist.pk}",
                granted_by=by,
                note=reason,
                using=using,
            )
        _notify(reversal, economy, using)
        _announce(reversal, using)
    return reversal


def _plan(heist_id: int, economy: Economy, using: str) -> Plan:
    """Judge the reversal on the rows as they are. Raises the reason why it is not possible."""
    if not economy.can_give_back:
        raise NoReversals
    heists = Heist.objects.using(using).select_related("attacker", "victim", "rule_set", "reversal")
    heist = heists.filter(pk=heist_id).first() if 0 < heist_id <= MAX_INTEGER else None
    if heist is None:
        raise UnknownHeist
    if heist.status != HeistStatus.SUCCESS:
        raise NotASuccess
    if (known := getattr(heist, "reversal", None)) is not None:
        raise AlreadyReversed(points=known.points_returned, at=known.created_at, by=known.reversed_by_name)
    ended_at = next_month(heist.rule_set.rules, heist.created_at)
    if (now := timezone.now()) >= ended_at:
        raise AnotherMonth(ended_at=ended_at)
    players = economy.players().using(using).filter(pk__in=(heist.attacker_id, heist.victim_id))
    points = {player.pk: player.monthly_points for player in players}
    if len(points) < 2:
        # Read after the deletion of a player, which takes the heist along.
        raise UnknownHeist
    has, victims = points[heist.attacker_id], points[heist.victim_id]
    returned = min(heist.points_stolen, has)
    if returned < 1:
        raise NothingLeft(required=heist.points_stolen, available=has)
    if victims + returned > MAX_POINTS:
        raise BalanceFull(maximum=MAX_POINTS)
    return Plan(heist, now, returned, has, victims, heist.rule_set.token_cost)


def _insert_reversal(plan: Plan, by: Any, reason: str, note: str, return_token: bool, using: str) -> Reversal:
    reversal = Reversal(
        heist=plan.heist,
        points_returned=plan.points,
        attacker_points_before=plan.attacker_points,
        attacker_points_after=plan.attacker_points - plan.points,
        victim_points_before=plan.victim_points,
        victim_points_after=plan.victim_points + plan.points,
        token_returned=return_token and plan.tokens > 0,
        reason=reason,
        note=note,
        reversed_by=by,
        reversed_by_name=staff_name(by),
        created_at=plan.now,
    )
    reversal.save(using=using)
    return reversal


def _notify(reversal: Reversal, economy: Economy, using: str) -> None:
    heist = reversal.heist
    metadata: dict[str, Any] = {
        "heist_id": heist.pk,
        "attacker_id": heist.attacker_id,
        "attacker_name": economy.name(heist.attacker),
        "victim_id": heist.victim_id,
        "victim_name": economy.name(heist.victim),
        "points": reversal.points_returned,
        "now": reversal.created_at,
    }
    if reversal.note:
        metadata["note"] = reversal.note
    built = [
        notifications.build(HeistNotificationType.HEIST_REVERSED, user=player, **metadata)
        for player in (heist.attacker, heist.victim)
    ]
    notifications.record(*built, economy=economy, using=using)


def _announce(reversal: Reversal, using: str) -> None:
    """Write the log line and send the signal, after the commit."""

    def announce() -> None:
        line = {
            "heist_id": reversal.heist_id,
            "attacker_id": reversal.heist.attacker_id,
            "victim_id": reversal.heist.victim_id,
            "points_returned": reversal.points_returned,
        }
        logger.info(LOG_LINE, line, extra=line)
        signals.heist_reversed.send_robust(Reversal, reversal=reversal)

    transaction.on_commit(announce, using=using, robust=True)
