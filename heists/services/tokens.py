"""Grant tokens, once for each source (docs/specification.md, "Data")."""

from __future__ import annotations

from typing import Any

from django.db import connections, router, transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from .. import signals
from ..choices import GrantReason, HeistNotificationType
from ..db.atomic import durable_atomic, require_outermost
from ..db.retry import retry_transient
from ..economy import get_economy
from ..errors import InvalidGrant
from ..models import HeistToken, TokenGrant
from ..models.tokens import GRANT_TEXT_MAX_LENGTH
from . import notifications

# Far above any use, far below the column's maximum.
MAX_GRANT_TOKENS = 1_000_000


@retry_transient
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
    """Grant a player tokens in a durable transaction, once for each `source`, and return the grant.

    The same source again returns the existing grant and changes nothing. `player`, `granted_by` and `referred` are
    users. Raises InvalidGrant (amount, source or note out of range), Busy.
    """
    using = router.db_for_write(TokenGrant)
    require_outermost(using)
    validate_grant(amount, source, note)
    with durable_atomic(using, repeatable=True):
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
    """Grant tokens inside the caller's transaction, so that both commit or neither does.

    For referral hooks. An amount of 0, on a site without referral tokens, grants nothing and returns None. Otherwise
    like `grant_tokens`. Raises RuntimeError outside a transaction.
    """
    using = router.db_for_write(TokenGrant)
    if not connections[using].in_atomic_block:
        raise RuntimeError("add_tokens() needs a transaction.atomic() around it; without one, use grant_tokens().")
    if amount == 0:
        return None
    validate_grant(amount, source, note)
    return _grant(player, amount, reason, source, granted_by, note, referred, using)


def validate_grant(amount: int, source: str, note: str) -> None:
    """Raise InvalidGrant where a value is out of range."""
    if isinstance(amount, bool) or not isinstance(amount, int) or not 1 <= amount <= MAX_GRANT_TOKENS:
        raise InvalidGrant(code_detail="amount", minimum=1, maximum=MAX_GRANT_TOKENS)
    for name, text in (("source", source), ("note", note)):
        if len(text) > GRANT_TEXT_MAX_LENGTH or "\x00" in text or (name == "source" and not text):
            raise InvalidGrant(code_detail=name)


def _grant(
    player: Any, amount: int, reason: GrantReason, source: str, granted_by: Any, note: str, referred: Any, using: str
) -> TokenGrant:
    now = timezone.now()
    # Inserted first: a second grant of the same source waits on the unique index and finds this one.
    grant: TokenGrant
    grant, created = (
        TokenGrant.objects.using(using)
        .select_related("player")
        .get_or_create(
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
    )
    if not created:
        return grant
    HeistToken.objects.using(using).bulk_create([HeistToken(user_id=player.pk)], ignore_conflicts=True)
    HeistToken.objects.using(using).filter(user=player).update(
        balance=F("balance") + amount,
        total_earned=F("total_earned") + amount,
        # The later of two grants at once may be first here. Greatest is null on SQLite where one argument is.
        last_earned_at=Coalesce(Greatest("last_earned_at", Value(now)), Value(now)),
        updated_at=now,
    )
    economy = get_economy()
    metadata: dict[str, Any] = {"grant_id": grant.pk, "reason": str(grant.reason), "amount": amount}
    if referred is not None:
        metadata |= {"referred_id": referred.pk, "referred_name": economy.name(referred)}
    notifications.record(
        notifications.build(HeistNotificationType.TOKEN_EARNED, user=player, now=now, **metadata),
        economy=economy,
        using=using,
    )
    transaction.on_commit(lambda: signals.tokens_granted.send_robust(TokenGrant, grant=grant), using=using, robust=True)
    return grant
