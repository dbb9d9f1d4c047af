"""Shields: bought with coins, used up by one attack, or expired unused (spec sections 3 and 4)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db import router, transaction
from django.utils import timezone

from .. import conf, notifications, signals
from ..choices import HeistNotificationType
from ..economy import Economy, get_economy
from ..errors import (
    FeatureDisabled,
    InactiveAccount,
    InsufficientCoins,
    NoCoins,
    ShieldAlreadyLive,
    UnknownPlayer,
)
from ..models import Shield
from ..retry import Outdated, retried, transacted

# Shields in one transaction of `expire_shields`: few enough that nobody waits for it.
BATCH = 200


def buy_shield(*, player_id: Any, idempotency_key: str | None = None) -> Shield:
    """Sell `player_id` a shield for coins, and return it.

    1. Is the shop open, and are there coins on this site?
    2. Lock the player's balance, which also makes a heist on them wait, and read the player.
    3. Has the key been used? Then its shield is the answer.
    4. Mark a shield that expired unnoticed, and tell its owner: it would stand in the way of the new one.
    5. Ask for a live shield and for enough coins, on what is locked.
    6. Write the shield, whose unique index decides any race that is left; take the coins.

    Step 2 to 6 are one durable transaction. The same key again returns the same shield, whatever became of it.

    Raises FeatureDisabled, NoCoins, UnknownPlayer, InactiveAccount, ShieldAlreadyLive (expires_at), InsufficientCoins
    (required, available), Busy.
    """
    using = router.db_for_write(Shield)
    if not conf.enabled():
        if replayed := _replay(player_id, idempotency_key, using):
            return replayed
        raise FeatureDisabled
    return _buy(player_id, idempotency_key, using)


@retried
def _buy(player_id: Any, key: str | None, using: str) -> Shield:
    economy = get_economy()
    if not economy.has_coins:
        raise NoCoins
    # An id that is nobody's must not reach the host's lock, which may make rows for those who have none.
    if not economy.players().using(using).filter(pk=player_id).exists():
        raise UnknownPlayer
    with transacted(using, repeatable=key is not None):
        economy.lock(player_id)
        player = economy.players().using(using).filter(pk=player_id).first()
        if player is None:
            raise UnknownPlayer
        if not getattr(player, "is_active", True):
            raise InactiveAccount
        if replayed := _replay(player_id, key, using):
            return replayed
        return _sell(player, key, economy, using)


def _sell(player: Any, key: str | None, economy: Economy, using: str) -> Shield:
    """Do steps 4 to 6 of `buy_shield`. The caller holds the transaction and the lock on the player."""
    now, rules = timezone.now(), conf.rules()
    shields = Shield.objects.using(using).filter(player=player.pk)
    _expire(shields.due(now).select_related("player"), now, economy, using)
    if live := shields.live(now).first():
        raise ShieldAlreadyLive(expires_at=live.expires_at)
    if rules.shield_cost and (coins := economy.coins(player.pk)) < rules.shield_cost:
        raise InsufficientCoins(required=rules.shield_cost, available=coins)
    shield = Shield(
        player_id=player.pk,
        cost=rules.shield_cost,
        bought_at=now,
        expires_at=now + rules.shield_life,
        idempotency_key=key,
    )
    shield.save(force_insert=True, using=using)
    if rules.shield_cost:
        economy.spend_coins(player.pk, rules.shield_cost, reference=f"shield:{shield.pk}")
    transaction.on_commit(lambda: signals.shield_bought.send_robust(Shield, shield=shield), using=using, robust=True)
    return shield


def _replay(player_id: Any, key: str | None, using: str) -> Shield | None:
    """Return the shield this key stands for, if there is one."""
    if key is None:
        return None
    return Shield.objects.using(using).filter(player=player_id, idempotency_key=key).first()


def expire_shields(*, batch: int = BATCH) -> int:
    """Mark every shield whose time is over, tell its owner once, and return how many there were.

    Each batch is a durable transaction of its own: a kill in the middle leaves whole batches, told or still due. Two at
    once share the work. Raises Busy where the database is out of reach.
    """
    using = router.db_for_write(Shield)
    # Frozen, so that shields which run out meanwhile can't keep the command going.
    now = timezone.now()
    total = 0
    while marked := _expire_batch(now, batch, using):
        total += marked
    return total


@retried
def _expire_batch(now: dt.datetime, batch: int, using: str) -> int:
    with transacted(using, repeatable=True):
        due = Shield.objects.using(using).due(now).select_related("player").order_by("expires_at", "pk")
        # A shield that is locked is being used up, marked by another command, or replaced by its owner.
        return _expire(due.select_for_update(of=("self",), skip_locked=True)[:batch], now, get_economy(), using)


def _expire(due: Iterable[Shield], now: dt.datetime, economy: Economy, using: str) -> int:
    """Mark these shields and tell their owners. The caller holds the transaction.

    Raises Outdated where somebody was quicker with one of them: SQLite, for one, knows no row locks.
    """
    shields = list(due)
    if not shields:
        return 0
    still_due = Shield.objects.using(using).filter(pk__in=[shield.pk for shield in shields]).due(now)
    if still_due.update(expired_at=now) != len(shields):
        raise Outdated
    notifications.send(
        *(
            notifications.build(
                HeistNotificationType.SHIELD_EXPIRED,
                user=shield.player,
                now=now,
                shield_id=shield.pk,
                expired_at=shield.expires_at,
            )
            for shield in shields
        ),
        economy=economy,
        using=using,
    )

    def tell() -> None:
        for shield in shields:
            shield.expired_at = now
            signals.shield_expired.send_robust(Shield, shield=shield)

    transaction.on_commit(tell, using=using, robust=True)
    return len(shields)
