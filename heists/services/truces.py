"""Truces: a player wants one, or no longer (docs/specification.md, "Truces")."""

from __future__ import annotations

from typing import Any

from django.db import router
from django.utils import timezone

from .. import in_force
from ..db.atomic import durable_atomic, require_outermost
from ..db.retry import StaleRead, retry_transient
from ..economy import get_economy
from ..errors import FeatureDisabled, InactiveAccount, TruceDisabled, UnknownPlayer
from ..in_force import Changes
from ..models import RuleSet, Truce
from ..rules import Rules, next_month
from ..user_model import is_active, player_key


def set_truce(*, player_id: Any, wanted: bool) -> Truce | None:
    """Record whether `player_id` wants a truce, and return the truce that is not over; None where there is none.

    A wish takes effect with the next calendar month of the site's time zone: a new truce begins then, and one that is
    no longer wanted ends then, or never begins. Wanting it again before its end removes the end. Asking for what is
    already so changes nothing.

    One durable transaction under the player's lock, for which heists of and on the player wait. The clock is read
    under it too.

    Raises FeatureDisabled, TruceDisabled, UnknownPlayer, InactiveAccount, Busy.
    """
    using = router.db_for_write(Truce)
    require_outermost(using)
    return _set_truce(player_key(player_id), wanted, using)


@retry_transient
def _set_truce(player_id: Any, wanted: bool, using: str) -> Truce | None:
    changes, now = in_force.changes(using), timezone.now()
    if not changes.enabled(now):
        raise FeatureDisabled
    if not (rules := changes.rules(now)).truce_enabled:
        raise TruceDisabled
    economy = get_economy()
    # The host's lock may create a balance row, so an unknown id must not reach it.
    if not economy.players().using(using).filter(pk=player_id).exists():
        raise UnknownPlayer
    # Outside the transaction, so that the rule set is cached. Its row has the time zone that the audit needs.
    RuleSet.objects.using(using).in_force(rules)
    with durable_atomic(using, repeatable=True):
        economy.lock(player_id)
        player = economy.players().using(using).filter(pk=player_id).first()
        if player is None:
            raise UnknownPlayer
        if not is_active(player):
            raise InactiveAccount
        return _change(player_id, wanted, rules, changes, using)


def _change(player_id: Any, wanted: bool, rules: Rules, changes: Changes, using: str) -> Truce | None:
    """Make the player's truce what is wanted, and return it. The caller holds the transaction and the lock.

    Raises StaleRead where the rules or the switch changed while the wish waited for the lock.
    """
    now = timezone.now()
    if not (changes.is_fresh and changes.enabled(now) and changes.rules(now) == rules):
        raise StaleRead
    truces = Truce.objects.using(using)
    truce = truces.current(player_id, now)
    if truce is None:
        if not wanted:
            return None
        return truces.create(player_id=player_id, starts_at=next_month(rules, now), created_at=now)
    if truce.wanted != wanted:
        # One that is withdrawn before it began ends where it starts, also where the site's time zone was changed since.
        # Another host's clock may have been in the next month already: a truce does not end before it starts.
        begun = truce.starts_at <= now
        truce.ends_at = None if wanted else next_month(rules, now) if begun else truce.starts_at
        truce.save(using=using, update_fields=["ends_at"])
    return truce
