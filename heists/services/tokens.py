"""Grant tokens, once for each source, and take a grant back (docs/specification.md, "Data")."""

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
from ..errors import AlreadyTakenBack, AmountChanged, InvalidGrant, NotCorrectable, NothingLeft, UnknownGrant
from ..models import HeistToken, TokenGrant
from ..models.tokens import CORRECTION_SOURCE, GRANT_TEXT_MAX_LENGTH, RESERVED_SOURCES
from ..user_model import staff_name
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
    users. Raises InvalidGrant (amount, source, reason or note out of range), Busy.
    """
    using = router.db_for_write(TokenGrant)
    require_outermost(using)
    validate_grant(amount, source, note, reason)
    with durable_atomic(using, repeatable=True):
        return record_grant(
            player=player,
            amount=amount,
            reason=reason,
            source=source,
            granted_by=granted_by,
            note=note,
            referred=referred,
            using=using,
        )


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
    validate_grant(amount, source, note, reason)
    return record_grant(
        player=player,
        amount=amount,
        reason=reason,
        source=source,
        granted_by=granted_by,
        note=note,
        referred=referred,
        using=using,
    )


def validate_grant(amount: int, source: str, note: str, reason: str = GrantReason.STAFF) -> None:
    """Raise InvalidGrant where a value is out of range: also a source or reason that only services use."""
    if reason not in GrantReason.of_callers():
        raise InvalidGrant(code_detail="reason")
    if isinstance(amount, bool) or not isinstance(amount, int) or not 1 <= amount <= MAX_GRANT_TOKENS:
        raise InvalidGrant(code_detail="amount", minimum=1, maximum=MAX_GRANT_TOKENS)
    for name, text in (("source", source), ("note", note)):
        if len(text) > GRANT_TEXT_MAX_LENGTH or "\x00" in text or (name == "source" and not text):
            raise InvalidGrant(code_detail=name)
    if source.startswith(RESERVED_SOURCES):
        raise InvalidGrant(code_detail="source")


def record_grant(
    *,
    player: Any,
    amount: int,
    reason: GrantReason,
    source: str,
    granted_by: Any,
    note: str,
    using: str,
    referred: Any = None,
) -> TokenGrant:
    """Insert a grant of this source, unless there is one, with its tokens and notification. Return it.

    The caller has validated it and holds the transaction.
    """
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
                "granted_by_name": staff_name(granted_by),
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


@retry_transient
def take_back(*, grant: TokenGrant, by: Any, reason: str, expected_amount: int | None = None) -> TokenGrant:
    """Take back a grant that was a mistake, and return the correction: a negative grant.

    Takes what the player still has of it: the grant's amount, or the balance where that is less. The player is not
    notified, and `last_earned_at` stays. `by` is the member of staff. `expected_amount` is what they saw.

    Raises InvalidGrant (reason empty or out of range), UnknownGrant, NotCorrectable, AlreadyTakenBack (tokens, at, by),
    NothingLeft (required, available), AmountChanged (expected, available), Busy, OutcomeUnknown.
    """
    using = router.db_for_write(TokenGrant)
    require_outermost(using)
    if not reason.strip() or len(reason) > GRANT_TEXT_MAX_LENGTH or "\x00" in reason:
        raise InvalidGrant(code_detail="note")
    with durable_atomic(using, repeatable=False):
        tokens = HeistToken.objects.using(using).filter(user=grant.player_id)
        # Locked first, so that the rest is judged on current rows. Heists that only refer to the row need not wait.
        token = tokens.select_for_update(no_key=True).first()
        amount = _amount_to_take(grant, token, using)
        if expected_amount is not None and amount != expected_amount:
            raise AmountChanged(expected=expected_amount, available=amount)
        return _insert_correction(grant, amount, by, reason, using)


def amount_to_take_back(grant: TokenGrant) -> int:
    """Return how many tokens `take_back` would take now. Raises what it would raise."""
    using = router.db_for_write(TokenGrant)
    return _amount_to_take(grant, HeistToken.objects.using(using).filter(user=grant.player_id).first(), using)


def _amount_to_take(grant: TokenGrant, token: HeistToken | None, using: str) -> int:
    if token is None or not TokenGrant.objects.using(using).filter(pk=grant.pk).exists():
        raise UnknownGrant
    if grant.reason == GrantReason.CORRECTION:
        raise NotCorrectable
    if known := TokenGrant.objects.using(using).correction_of(grant):
        raise AlreadyTakenBack(tokens=-known.amount, at=known.created_at, by=known.granted_by_name)
    if not token.balance:
        raise NothingLeft(required=grant.amount, available=0)
    return min(grant.amount, token.balance)


def _insert_correction(grant: TokenGrant, amount: int, by: Any, reason: str, using: str) -> TokenGrant:
    now = timezone.now()
    correction: TokenGrant = TokenGrant.objects.using(using).create(
        player_id=grant.player_id,
        amount=-amount,
        reason=GrantReason.CORRECTION,
        source=f"{CORRECTION_SOURCE}{grant.pk}",
        granted_by=by,
        granted_by_name=staff_name(by),
        note=reason,
        created_at=now,
    )
    HeistToken.objects.using(using).filter(user=grant.player_id).update(
        balance=F("balance") - amount, total_earned=F("total_earned") - amount, updated_at=now
    )
    transaction.on_commit(
        lambda: signals.grant_taken_back.send_robust(TokenGrant, correction=correction), using=using, robust=True
    )
    return correction
