"""Writes the accounts of players: users, first points and coins, and at the end their balances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password
from django.contrib.auth.models import Group, Permission
from django.db.models import Q

from heists.economy import current_month
from heists.models import HeistToken

from ..models import (
    REFERRAL_ALPHABET,
    REFERRAL_CODE_LENGTH,
    CoinEntry,
    CoinReason,
    PlayerProfile,
    PointEvent,
    ReferralReward,
)
from ..services import referral_reference
from .bulk import Bulk
from .players import Player
from .rows import COLUMNS

SIGNUP_POINTS = 100
SUPPORT_GROUP, MANAGERS_GROUP = "Support", "Managers"
# Besides viewing everything of heists.
SUPPORT_MAY = ("reverse_heist", "grant_tokens", "send_again")
MANAGERS_MAY = (*SUPPORT_MAY, "change_rules")


def insert_players(players: Sequence[Player], bulk: Bulk) -> None:
    """Set each player's `key`, and insert the users with the points and coins they start with."""
    user_model = get_user_model()
    for key, player in enumerate(players, start=bulk.next_id(user_model)):
        player.key = key
    fields = "id password is_superuser username first_name last_name email is_staff is_active date_joined".split()
    rows = (
        (p.key, _password_hash(p), p.is_superuser, p.name, "", "", p.email, p.is_staff, p.active, p.joined_at)
        for p in players
    )
    bulk.insert(user_model, fields, rows)
    bulk.insert(PointEvent, COLUMNS[PointEvent], _starting_events(players))
    purchase = CoinReason.PURCHASE.value
    coins = ((p.key, p.starting_coins, purchase, "", p.joined_at) for p in players if p.starting_coins)
    bulk.insert(CoinEntry, COLUMNS[CoinEntry], coins)


def insert_staff_groups(support: Sequence[Player], managers: Sequence[Player]) -> None:
    """Create the groups of those who help players and of those who steer the rules, and add these accounts to them."""
    of_heists = Permission.objects.filter(content_type__app_label="heists")
    for name, may, members in ((SUPPORT_GROUP, SUPPORT_MAY, support), (MANAGERS_GROUP, MANAGERS_MAY, managers)):
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.set(of_heists.filter(Q(codename__startswith="view_") | Q(codename__in=may)))
        group.user_set.set([member.key for member in members])


def insert_balances(players: Sequence[Player], bulk: Bulk) -> None:
    """Insert the profiles, referral rewards and token rows, with the balances at the end of the simulation."""
    profiles = (
        (p.key, p.total_points, p.points, p.month, p.coins, _referral_code(p), p.referrer.key if p.referrer else None)
        for p in players
    )
    bulk.insert(PlayerProfile, "user points monthly_points month coins referral_code referred_by".split(), profiles)
    rewards = (
        (p.referrer.key, current_month(p.joined_at), referral_reference(p.key), p.joined_at)
        for p in players
        if p.referrer
    )
    bulk.insert(ReferralReward, "referrer month reference created_at".split(), rewards)
    fields = "user balance total_earned total_spent last_earned_at last_spent_at created_at updated_at".split()
    tokens = (
        (
            p.key,
            p.tokens,
            p.tokens + p.tokens_spent,
            p.tokens_spent,
            p.last_earned_at,
            p.last_spent_at,
            p.joined_at,
            max(filter(None, (p.joined_at, p.last_earned_at, p.last_spent_at))),
        )
        for p in players
    )
    bulk.insert(HeistToken, fields, tokens)


def _password_hash(player: Player) -> str:
    # A fixed salt: the same world has the same rows.
    return make_password(player.password, salt="demo") if player.password else f"{UNUSABLE_PASSWORD_PREFIX}demo"


def _referral_code(player: Player) -> str:
    # From the name: the same world has the same codes.
    return "".join(Random(player.name).choices(REFERRAL_ALPHABET, k=REFERRAL_CODE_LENGTH))  # noqa: S311


def _starting_events(players: Sequence[Player]) -> Iterator[tuple[Any, ...]]:
    for player in players:
        rest = player.starting_points
        if rest >= SIGNUP_POINTS:
            rest -= SIGNUP_POINTS
            yield player.key, "SIGNUP", SIGNUP_POINTS, "", player.joined_at, player.month
        if rest:
            yield player.key, "ACHIEVEMENT_UNLOCK", rest, "", player.joined_at, player.month
