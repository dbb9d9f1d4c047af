"""Compares shields with the heists they blocked and with what was paid (docs/specification.md, "The rules")."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Exists, F, Min, OuterRef, Q, Value
from django.db.models.functions import Coalesce, Least

from ..choices import HeistStatus
from .base import TOLERANCE, AuditData, Broken, Skipped, check, in_chunks, unless


@check("shield_missing", ids={"heist": "pk", "victim": "victim_id"}, numbers=("created_at",))
def blocks_have_a_shield(data: AuditData) -> Broken:
    """A blocked attack used up a shield."""
    yield data.heists.filter(~Exists(data.shields.filter(used_by=OuterRef("pk"))), status=HeistStatus.FAILED_SHIELD)


@check(
    "shield_used_wrongly",
    ids={"shield": "pk", "player": "player_id", "heist": "used_by_id"},
    numbers=("used_by__status", "bought_at", "used_at", "expires_at"),
)
def used_shields(data: AuditData) -> Broken:
    """A used shield blocked an attack on its owner, at that moment, while it was live."""
    shields = data.shields.annotate(bought=F("bought_at") - TOLERANCE)
    right = Q(
        used_by__status=HeistStatus.FAILED_SHIELD,
        used_by__victim=F("player"),
        used_by__created_at=F("used_at"),
        bought__lte=F("used_at"),
        expires_at__gt=F("used_at"),
    )
    yield unless(right, shields.exclude(used_by=None))
    # The heist may have been deleted with its attacker; `used_at` stays.
    yield shields.filter(used_by=None).filter(Q(used_at__lt=F("bought")) | Q(used_at__gte=F("expires_at")))


@check("shield_expired_early", ids={"shield": "pk", "player": "player_id"}, numbers=("expires_at", "expired_at"))
def expired_shields(data: AuditData) -> Broken:
    """No shield was marked as expired before its end."""
    yield data.shields.filter(expired_at__lt=F("expires_at"))


@check(
    "shield_ignored", ids={"shield": "pk", "player": "player_id", "heist": "heist"}, numbers=("bought_at", "expires_at")
)
def ignored_shields(data: AuditData) -> Broken:
    """No success is against a player with a live shield."""
    ended = Least(Coalesce("used_at", "expires_at"), Coalesce("expired_at", "expires_at"), F("expires_at"))
    robbed = Q(
        player__heists_as_victim__status=HeistStatus.SUCCESS,
        player__heists_as_victim__token_spent=True,
        player__heists_as_victim__created_at__gt=F("bought"),
        player__heists_as_victim__created_at__lt=F("ended"),
    )
    yield (
        data.shields.annotate(bought=F("bought_at") + TOLERANCE, ended=ended - TOLERANCE)
        .filter(robbed)
        .order_by()
        .values("pk")
        .annotate(heist=Min("player__heists_as_victim__pk"))
    )


@check("shield_terms", ids={"shield": "pk", "player": "player_id"}, numbers=("cost", "bought_at", "expires_at"))
def terms(data: AuditData) -> Broken:
    """A shield has the price and the length of rules that were in force."""
    fitting = Q(pk__in=[])
    for cost, days in {(rules.shield_cost, rules.shield_days) for rules in data.rule_sets.values()}:
        fitting |= Q(cost=cost, expires_at=F("bought_at") + Value(dt.timedelta(days=days)))
    yield data.shields.exclude(fitting)


@check("shield_unpaid", ids={"shield": "pk", "player": "player"}, numbers=("cost", "paid"))
def payments(data: AuditData) -> Broken:
    """The owner of a shield paid its price, once."""
    for chunk in in_chunks(data.shields.values_list("pk", "player_id", "cost")):
        found = data.economy.shield_payments([pk for pk, _player, _cost in chunk])
        if found is None:
            raise Skipped("the economy does not list payments for shields")
        paid: dict[tuple[Any, Any], list[int]] = {}
        for payment in found:
            paid.setdefault((payment.shield_id, payment.player_id), []).append(payment.coins)
        for pk, player, cost in chunk:
            coins = paid.get((pk, player), [])
            if coins != ([cost] if cost else []):
                yield {"pk": pk, "player": player, "cost": cost, "paid": coins}


CHECKS = (
    blocks_have_a_shield,
    used_shields,
    expired_shields,
    ignored_shields,
    terms,
    payments,
)
