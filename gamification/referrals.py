"""Referrals that have to be earned: who is rewarded, and when (docs/specification.md, "Referrals").

Without conditions the sign-up pays (`services.sign_up`). Under conditions it only notes that the referral waits, and
`reward_referrals` pays those that meet the conditions, or decides that one is never paid.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from heists.db.atomic import durable_atomic
from heists.db.retry import retry_transient
from heists.economy import current_month

from . import conf, services
from .errors import BalanceTooLarge
from .models import PlayerProfile, PointEvent, ReferralReward

logger = logging.getLogger("gamification")

# Referrals read at once. Each is decided in a transaction of its own, so that locks are held for a short time.
BATCH_SIZE = 500


class Rewarded(NamedTuple):
    """How many referrals were paid, and how many are never paid because of the cap."""

    paid: int = 0
    never_paid: int = 0


def reward_referrals(
    *, batch: int = BATCH_SIZE, on_batch: Callable[[Rewarded], object] = lambda decided: None
) -> Rewarded:
    """Pay the referrals that meet the conditions now in force, the oldest first, and return how many.

    A referral that meets them after the cap of its month was reached is never paid. Each is decided once, in a durable
    transaction: safe to interrupt, to repeat, and to run twice at once. `on_batch` is called after each batch. Raises
    ImproperlyConfigured where a condition is out of its range, and Busy where the database is not available.
    """
    now, conditions = timezone.now(), conf.referral_conditions()
    paid = never_paid = 0
    last: tuple[dt.datetime, Any] | None = None
    while page := list(_after(last, _ready(now, conditions))[:batch]):
        decided = [_try_to_decide(referred, referrer, now, conditions) for _since, referred, referrer in page]
        last = page[-1][:2]
        done = Rewarded(decided.count(True), decided.count(False))
        paid, never_paid = paid + done.paid, never_paid + done.never_paid
        on_batch(done)
    return Rewarded(paid, never_paid)


def _ready(now: dt.datetime, conditions: conf.ReferralConditions) -> QuerySet[PlayerProfile, Any]:
    """Return the referrals that meet the conditions, but for the cap: since when, the referred player, the referrer."""
    waiting = PlayerProfile.objects.using(services.written_to()).filter(
        referral_waits_since__lte=now - conditions.member_for, user__is_active=True, referred_by__is_active=True
    )
    if conditions.earned_points:
        events = PointEvent.objects.filter(user=OuterRef("user")).exclude(
            Q(type__in=["SIGNUP", "REFERRAL_BONUS"]) | Q(type__name__startswith="HEIST_")
        )
        earned = events.order_by().values("user").annotate(total=Sum("points")).values("total")
        waiting = waiting.annotate(earned=Coalesce(Subquery(earned), 0)).filter(earned__gte=conditions.earned_points)
    return waiting.order_by("referral_waits_since", "user").values_list("referral_waits_since", "user", "referred_by")


def _after(last: tuple[dt.datetime, Any] | None, rows: QuerySet[Any, Any]) -> QuerySet[Any, Any]:
    if last is None:
        return rows
    since, user = last
    return rows.filter(Q(referral_waits_since__gt=since) | Q(referral_waits_since=since, user__gt=user))


def _try_to_decide(*args: Any) -> bool | None:
    """Decide a referral; one whose referrer can't have more points waits on and stops no other."""
    try:
        return _decide(*args)
    except BalanceTooLarge:
        logger.warning("the referral of player %s waits: its referrer can't have that many points", args[0])
        return None


@retry_transient
def _decide(referred: Any, referrer: Any, now: dt.datetime, conditions: conf.ReferralConditions) -> bool | None:
    """Pay a referral and return True, or decide that it is never paid, because of the cap, and return False.

    Returns None where it does not wait any longer, or no longer meets the conditions: another call was faster.
    """
    using = services.written_to()
    profiles = PlayerProfile.objects.using(using)
    with durable_atomic(using, repeatable=True):
        # In the order of the keys, as every lock of profiles. A deleted player has none, and none may be made.
        locked = profiles.filter(user__in=[referred, referrer]).select_for_update().order_by("user_id")
        if len(locked.values_list("user_id", flat=True)) < 2:
            return None
        # Read again under the locks, in a statement of its own.
        ready = _ready(now, conditions).filter(user=referred, referred_by=referrer).first()
        if ready is None:
            return None
        profiles.filter(user=referred).update(referral_waits_since=None)
        rewards, reference = ReferralReward.objects.using(using), services.referral_reference(referred)
        events = PointEvent.objects.using(using)
        if rewards.filter(reference=reference).exists() or events.filter(user=referrer, reference=reference).exists():
            return None
        month = current_month(ready[0])
        cap = conditions.monthly_cap
        if cap is not None and rewards.filter(referrer=referrer, month=month).count() >= cap:
            return False
        # Locked already; this begins a new month of the referrer's profile where it is due.
        services.lock_profiles(referrer)
        services.pay_referral(referrer, referred, month)
        return True
