"""Tokens are gained by grants alone; a grant's source makes it happen once (spec section 3)."""

from __future__ import annotations

from typing import Any

from django.db import connections, router, transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from .. import notifications, signals
from ..choices import GrantReason, HeistNotificationType
from ..economy import get_economy
from ..errors import InvalidGrant
from ..models import HeistToken, TokenGrant
from ..retry import retried, transacted

# Tokens in one grant; far above any use, far below the column's end.
MAX_GRANT = 1_000_000


@retried
def grant_tokens(
    *,
    player: Any,
    amount: int,
    reason: GrantReason,
    source: str,
    granted_by: Any = None,
    note: str = "",
    referred: Any = None,
) -> TokenGrant:
    """Give a player tokens, once for each `source`, in a durable transaction of its own, and return the grant.

    The same source again returns the grant that is there and gives nothing. `player`, `granted_by` and `referred` are
    users. Raises InvalidGrant (amount, source or note out of range), Busy.
    """
    using = router.db_for_write(TokenGrant)
    validate_grant(amount, source, note)
    with transacted(using, repeatable=True):
        return _grant(player, amount, reason, source, granted_by, note, referred, using)


def add_tokens(
    *,
    player: Any,
    amount: int,
    reason: GrantReason,
    source: str,
    granted_by: Any = None,
    note: str = "",
    referred: Any = None,
) -> TokenGrant | None:
    """Give tokens inside the caller's transaction, so that they are earned exactly if the caller's deed is done.

    The building block of referral hooks: the caller holds the transaction, and an amount of 0 (a site without referral
    tokens) grants nothing and returns None. Otherwise like `grant_tokens`.
    """
    using = router.db_for_write(TokenGrant)
    if not connections[using].in_atomic_block:
        raise RuntimeError("add_tokens() belongs inside your transaction.atomic(); on its own, use grant_tokens().")
    if amount == 0:
        return None
    validate_grant(amount, source, note)
    return _grant(player, amount, reason, source, granted_by, note, referred, using)


def validate_grant(amount: int, source: str, note: str) -> None:
    """Raise InvalidGrant where a grant of these could not be written."""
    if isinstance(amount, bool) or not isinstance(amount, int) or not 1 <= amount <= MAX_GRANT:
        raise InvalidGrant(code_detail="amount", minimum=1, maximum=MAX_GRANT)
    for name, text in (("source", source), ("note", note)):
        if len(text) > 255 or "\x00" in text or (name == "source" and not text):
            raise InvalidGrant(code_detail=name)


def _grant(
    player: Any, amount: int, reason: GrantReason, source: str, granted_by: Any, note: str, referred: Any, using: str
) -> TokenGrant:
    now = timezone.now()
    # The grant goes in first: a second one of the same source waits on the unique index, and finds this one.
    grant: TokenGrant
    grant, created = TokenGrant.objects.using(using).get_or_create(
        source=source,
        defaults={
            "player": player,
            "amount": amount,
            "reason": GrantReason(reason),
            "granted_by": granted_by,
            "note": note,
            "created_at": now,
        },
    )
    if not created:
        return grant
    HeistToken.objects.using(using).bulk_create([HeistToken(user_id=player.pk)], ignore_conflicts=True)
    HeistToken.objects.using(using).filter(user=player).update(
        balance=F("balance") + amount,
        total_earned=F("total_earned") + amount,
        # Of two grants at once, the earlier may come to this line last. SQLite's Greatest is null where either is.
        last_earned_at=Coalesce(Greatest("last_earned_at", Value(now)), Value(now)),
        updated_at=now,
    )
    economy = get_economy()
    told: dict[str, Any] = {"grant_id": grant.pk, "reason": str(grant.reason), "amount": amount}
    if referred is not None:
        told |= {"referred_id": referred.pk, "referred_name": economy.name(referred)}
    notifications.send(
        notifications.build(HeistNotificationType.TOKEN_EARNED, user=player, now=now, **told),
        economy=economy,
        using=using,
    )
    transaction.on_commit(lambda: signals.tokens_granted.send_robust(TokenGrant, grant=grant), using=using, robust=True)
    return grant
