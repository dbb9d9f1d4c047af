"""Compares reversals with their heists, and refunds and corrections with what they refer to.

See docs/specification.md, "Reversals" and "Data".
"""

from __future__ import annotations

from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Least

from ..choices import GrantReason, HeistStatus
from ..models import TokenGrant
from ..models.tokens import CORRECTION_SOURCE, REFUND_SOURCE
from ..rules import CLOCK_TOLERANCE, next_month
from .base import TOLERANCE, AuditData, Broken, check, in_chunks, unless


@check("reversal_heist", ids={"reversal": "pk", "heist": "heist_id"}, numbers=("heist__status", "created_at"))
def of_successes(data: AuditData) -> Broken:
    """A reversal is of a success, and later than it."""
    right = Q(heist__status=HeistStatus.SUCCESS, created_at__gte=F("heist__created_at") - TOLERANCE)
    yield unless(right, data.reversals)


@check("reversal_month", ids={"reversal": "pk", "heist": "heist_id"}, numbers=("created_at", "month_ended"))
def in_the_month(data: AuditData) -> Broken:
    """A reversal is in the month of its heist, in the time zone of the heist's rules."""
    rows = data.reversals.values_list("pk", "heist_id", "heist__created_at", "heist__rule_set_id", "created_at")
    for chunk in in_chunks(rows):
        for pk, heist, attempted_at, rule_set, created_at in chunk:
            ended = next_month(data.rule_sets[rule_set], attempted_at)
            if created_at >= ended + CLOCK_TOLERANCE:
                yield {"pk": pk, "heist_id": heist, "created_at": created_at, "month_ended": ended}


@check(
    "reversal_amount",
    ids={"reversal": "pk", "heist": "heist_id"},
    numbers=("points_returned", "heist__points_stolen", "attacker_points_before"),
)
def amounts(data: AuditData) -> Broken:
    """A reversal returns what was stolen, or all that the attacker had where that was less."""
    yield data.reversals.exclude(points_returned=Least(F("heist__points_stolen"), F("attacker_points_before")))


@check("reversal_token", ids={"heist": "heist", "player": "player"}, numbers=("cost", "refunded"))
def refunds(data: AuditData) -> Broken:
    """The tokens of a heist were given back exactly where its reversal says so, to its attacker and at its cost."""
    granted: dict[int, tuple[Any, int, str]] = {}
    for chunk in in_chunks(_grants_from(data, REFUND_SOURCE, "amount", "reason")):
        for _pk, player, source, amount, reason in chunk:
            granted[_number(source, REFUND_SOURCE)] = (player, amount, reason)
    rows = data.reversals.filter(token_returned=True)
    for chunk in in_chunks(rows.values_list("pk", "heist_id", "heist__attacker_id", "heist__rule_set__token_cost")):
        for _pk, heist, attacker, cost in chunk:
            refund = granted.pop(heist, None)
            if refund != (attacker, cost, GrantReason.REFUND):
                yield {"heist": heist, "player": attacker, "cost": cost, "refunded": refund and refund[1]}
    # The heist of a refund may have been deleted with its victim.
    kept = set(data.heists.filter(pk__in=granted).values_list("pk", flat=True))
    deleted = set(data.attempt_log.filter(pk__in=granted).values_list("pk", flat=True)) - kept
    for heist, (player, amount, _reason) in granted.items():
        if heist not in deleted:
            yield {"heist": heist, "player": player, "cost": None, "refunded": amount}


@check("correction_grant", ids={"grant": "pk", "player": "player"}, numbers=("amount", "granted"))
def corrections(data: AuditData) -> Broken:
    """A correction takes from a grant of the same player, which is no correction, at most its amount."""
    for chunk in in_chunks(_grants_from(data, CORRECTION_SOURCE, "amount", "reason", "created_at")):
        corrected = data.rows(TokenGrant).in_bulk({_number(source, CORRECTION_SOURCE) for _pk, _p, source, *_ in chunk})
        for pk, player, source, amount, reason, created_at in chunk:
            grant = corrected.get(_number(source, CORRECTION_SOURCE))
            right = (
                reason == GrantReason.CORRECTION
                and grant is not None
                and grant.player_id == player
                and grant.reason != GrantReason.CORRECTION
                and grant.amount >= -amount
                and grant.created_at <= created_at + CLOCK_TOLERANCE
            )
            if not right:
                yield {"pk": pk, "player": player, "amount": amount, "granted": grant and grant.amount}
    others = data.rows(TokenGrant).filter(reason=GrantReason.CORRECTION).exclude(source__startswith=CORRECTION_SOURCE)
    for pk, player, amount in others.values_list("pk", "player_id", "amount"):
        yield {"pk": pk, "player": player, "amount": amount, "granted": None}


def _grants_from(data: AuditData, source: str, *fields: str) -> Any:
    return data.rows(TokenGrant).filter(source__startswith=source).values_list("pk", "player_id", "source", *fields)


def _number(source: str, prefix: str) -> int:
    """Return the id that a made-up source names; 0 where it names none."""
    text = source.removeprefix(prefix)
    return int(text) if text.isdecimal() and len(text) < 19 else 0


CHECKS = (of_successes, in_the_month, amounts, refunds, corrections)
