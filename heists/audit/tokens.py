"""Compares token rows with the grants and outcomes they sum up (docs/specification.md, "Data")."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, F, Func, IntegerField, Max, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from ..choices import GrantReason
from ..models import RuleSet, TokenGrant
from .base import TOLERANCE, AuditData, Broken, check


def _granted(data: AuditData) -> Subquery:
    """Return the sum of the grants of the token's player."""
    # Not Django's aggregate, which would group the rows: the sum of no rows is 0 too. It is one row in any case; Django
    # 6.1 asks for the slice.
    total = Coalesce(Func("amount", function="SUM"), 0)
    return Subquery(data.rows(TokenGrant).filter(player=OuterRef("user")).values_list(total)[:1], IntegerField())


def _paid() -> Coalesce:
    """Return the token cost of all outcomes of the token's player."""
    # A join reads the table of heists once; a subquery would look up the heists of each player.
    cost = Sum("heists_as_attacker__rule_set__token_cost", filter=Q(heists_as_attacker__token_spent=True))
    return Coalesce(cost, 0, output_field=IntegerField())


def _newest(rows: QuerySet[Any], owner: str) -> Subquery:
    """Return the newest `created_at` of the rows of the token's player."""
    mine = rows.filter(**{owner: OuterRef("user")}).order_by().values(owner)
    return Subquery(mine.annotate(newest=Max("created_at")).values("newest"))


@check("token_earned", ids={"player": "user_id"}, numbers=("total_earned", "granted"))
def earned(data: AuditData) -> Broken:
    """A player's total_earned is the sum of their grants."""
    yield data.tokens.annotate(granted=_granted(data)).exclude(total_earned=F("granted"))


@check("token_spent", ids={"player": "user_id"}, numbers=("total_spent", "paid", "spent_on_deleted"))
def spent(data: AuditData) -> Broken:
    """A player's total_spent is the token cost of their outcomes, by the rules of each, plus spent_on_deleted."""
    yield data.tokens.annotate(paid=_paid()).exclude(total_spent=F("paid") + F("spent_on_deleted"))


@check("token_balance", ids={"player": "user_id"}, numbers=("balance", "granted", "paid", "spent_on_deleted"))
def balance(data: AuditData) -> Broken:
    """A balance is the tokens granted minus the tokens spent."""
    yield data.tokens.annotate(paid=_paid(), granted=_granted(data)).exclude(
        balance=F("granted") - F("paid") - F("spent_on_deleted")
    )


@check("token_missing_for_grant", ids={"grant": "pk", "player": "player_id"}, numbers=("amount",))
def grants_have_tokens(data: AuditData) -> Broken:
    """Every player with a grant has a token row."""
    yield data.rows(TokenGrant).filter(~Exists(data.tokens.filter(user=OuterRef("player"))))


@check("token_missing_for_attacker", ids={"heist": "pk", "player": "attacker_id"})
def attackers_have_tokens(data: AuditData) -> Broken:
    """Every attacker has a token row."""
    yield data.heists.filter(~Exists(data.tokens.filter(user=OuterRef("attacker"))))


@check("token_missing_for_victim", ids={"heist": "pk", "player": "victim_id"})
def victims_have_tokens(data: AuditData) -> Broken:
    """Every player who was robbed has a token row, where a deleted attacker's heist would be remembered."""
    yield data.successes.filter(~Exists(data.tokens.filter(user=OuterRef("victim"))))


@check("token_last_spent", ids={"player": "user_id"}, numbers=("last_spent_at", "newest", "spent_on_deleted"))
def last_spent(data: AuditData) -> Broken:
    """last_spent_at is the time of the last outcome; later only where an outcome was deleted with its victim."""
    rows = data.tokens.annotate(newest=_newest(data.outcomes, "attacker"))
    broken = Q(newest__gt=F("last_spent_at") + TOLERANCE) | Q(newest__isnull=False, last_spent_at=None)
    # A deleted outcome that cost nothing does not show in spent_on_deleted.
    if not data.rows(RuleSet).filter(token_cost=0).exists():
        later = Q(newest__lt=F("last_spent_at") - TOLERANCE) | Q(newest=None, last_spent_at__isnull=False)
        broken |= later & Q(spent_on_deleted=0)
    yield rows.filter(broken)


@check("token_last_earned", ids={"player": "user_id"}, numbers=("last_earned_at", "newest"))
def last_earned(data: AuditData) -> Broken:
    """last_earned_at is the time of the last grant, corrections aside."""
    grants = data.rows(TokenGrant).exclude(reason=GrantReason.CORRECTION)
    rows = data.tokens.annotate(newest=_newest(grants, "player"))
    yield rows.filter(
        Q(newest__lt=F("last_earned_at") - TOLERANCE)
        | Q(newest__gt=F("last_earned_at") + TOLERANCE)
        | Q(newest=None, last_earned_at__isnull=False)
        | Q(newest__isnull=False, last_earned_at=None)
    )


CHECKS = (
    earned,
    spent,
    balance,
    grants_have_tokens,
    attackers_have_tokens,
    victims_have_tokens,
    last_spent,
    last_earned,
)
