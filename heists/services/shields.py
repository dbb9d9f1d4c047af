"""Shields: buy and expire (docs/specification.md, "The rules")."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from django.db import router, transaction
from django.utils import timezone

from .. import in_force, signals
from ..choices import HeistNotificationType
from ..db.atomic import durable_atomic, require_outermost
from ..db.retry import StaleRead, retry_transient
from ..economy import Economy, get_economy
from ..errors import FeatureDisabled, InactiveAccount, InsufficientCoins, NoCoins, ShieldAlreadyLive, UnknownPlayer
from ..in_force import Changes
from ..models import RuleSet, Shield
from ..rules import Rules
from ..user_model import is_active, player_key
from . import notifications

# Shields in one transaction of `expire_shields`: few, so that it holds locks for a short time.
BATCH_SIZE = 200


def buy_shield(*, player_id: Any, idempotency_key: str | None = None) -> Shield:
    """Sell `player_id` a shield for coins, and return it.

    1. Check that heists are enabled and that the site has coins.
    2. Lock the player's balance, which makes a heist on the player wait, and read the player.
    3. If the key was used before, return its shield.
    4. Mark an expired shield and notify the player: the unique index counts it until it is marked.
    5. Check on the locked rows that there is no live shield, and enough coins.
    6. Insert the shield, whose unique index decides between two purchases; spend the coins.

    Steps 2 to 6 are one durable transaction. The same key again returns the same shield, used or expired or not.

    Raises FeatureDisabled, NoCoins, UnknownPlayer, InactiveAccount, ShieldAlreadyLive (expires_at), InsufficientCoins
    (required, available), Busy.
    """
    using = router.db_for_write(Shield)
    require_outermost(using)
    return _buy(player_key(player_id), idempotency_key, using)


@retry_transient
def _buy(player_id: Any, key: str | None, using: str) -> Shield:
    changes, now = in_force.changes(using), timezone.now()
    if not changes.enabled(now):
        if replayed := _replay(player_id, key, using):
            return replayed
        raise FeatureDisabled
    economy = get_economy()
    if not economy.has_coins:
        raise NoCoins
    # The host's lock may create a balance row, so an unknown id must not reach it.
    if not economy.players().using(using).filter(pk=player_id).exists():
        raise UnknownPlayer
    # Outside the transaction, so that the rule set is cached. Its row lets the audit check the shield's terms.
    rules = RuleSet.objects.using(using).in_force(changes.rules(now)).rules
    with durable_atomic(using, repeatable=key is not None):
        economy.lock(player_id)
        player = economy.players().using(using).filter(pk=player_id).first()
        if player is None:
            raise UnknownPlayer
        if not is_active(player):
            raise InactiveAccount
        if replayed := _replay(player_id, key, using):
            return replayed
        return _sell(player, key, rules, changes, economy, using)


def _sell(player: Any, key: str | None, rules: Rules, changes: Changes, economy: Economy, using: str) -> Shield:
    """Carry out steps 4 to 6 of `buy_shield`. The caller holds the transaction and the lock on the player.

    Raises StaleRead where the rules or the switch changed while the purchase waited for the lock.
    """
    now = timezone.now()
    if not (changes.is_fresh and changes.enabled(now) and changes.rules(now) == rules):
        raise StaleRead
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
    shield.save(using=using)
    if rules.shield_cost:
        economy.spend_coins(player.pk, rules.shield_cost, reference=f"shield:{shield.pk}")
    transaction.on_commit(lambda: signals.shield_bought.send_robust(Shield, shield=shield), using=using, robust=True)
    return shield


def _replay(player_id: Any, key: str | None, using: str) -> Shield | None:
    """Return the shield of this key; None where there is none."""
    if key is None:
        return None
    return Shield.objects.using(using).filter(player=player_id, idempotency_key=key).first()


def expire_shields(*, batch: int = BATCH_SIZE, on_batch: Callable[[int], None] = lambda marked: None) -> int:
    """Mark every shield whose time is over, notify its player once, and return how many there were.

    Each batch is a durable transaction: a process that is killed leaves whole batches, done or due. Two calls at once
    share the work. `on_batch` is called with the number of each batch that is done. Raises Busy where the database is
    not available.
    """
    using = router.db_for_write(Shield)
    require_outermost(using)
    # Read once, so that shields that expire meanwhile do not prolong the command.
    now = timezone.now()
    total = 0
    while marked := _expire_batch(now, batch, using):
        total += marked
        on_batch(marked)
    return total


@retry_transient
def _expire_batch(now: dt.datetime, batch: int, using: str) -> int:
    with durable_atomic(using, repeatable=True):
        due = Shield.objects.using(using).due(now).select_related("player").order_by("expires_at", "pk")
        # A locked shield is being used up, marked by another call, or replaced by a purchase.
        return _expire(due.select_for_update(of=("self",), skip_locked=True)[:batch], now, get_economy(), using)


def _expire(due: Iterable[Shield], now: dt.datetime, economy: Economy, using: str) -> int:
    """Mark these shields as expired and notify their players. The caller holds the transaction.

    Raises StaleRead where one of them changed meanwhile, which happens without row locks (SQLite).
    """
    shields = list(due)
    if not shields:
        return 0
    still_due = Shield.objects.using(using).filter(pk__in=[shield.pk for shield in shields]).due(now)
    if still_due.update(expired_at=now) != len(shields):
        raise StaleRead
    notifications.record(
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

    def announce() -> None:
        for shield in shields:
            shield.expired_at = now
            signals.shield_expired.send_robust(Shield, shield=shield)

    transaction.on_commit(announce, using=using, robust=True)
    return len(shields)
