"""This host's part of `seed_heists --demo`: users, profiles, point events and coins for invented players."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password

from heists.demo.bulk import Bulk
from heists.demo.host import DemoEconomy, DemoPlayer, DemoPurchase, DemoTransfer
from heists.errors import DemoRefused

from .models import REFERRAL_ALPHABET, REFERRAL_CODE_LENGTH, CoinEntry, CoinReason, PlayerProfile, PointEvent

USER_COLUMNS = (
    "id",
    "password",
    "is_superuser",
    "username",
    "first_name",
    "last_name",
    "email",
    "is_staff",
    "is_active",
    "date_joined",
)
EVENT_COLUMNS = ("user", "type", "points", "reference", "created_at")
COIN_COLUMNS = ("user", "amount", "reason", "reference", "created_at")
SIGNUP_POINTS = 100
NAMES_AT_ONCE = 500


class GamificationDemo(DemoEconomy):
    """Fills the tables that belong to this app."""

    def create_demo_players(self, players: Sequence[DemoPlayer], bulk: Bulk) -> None:
        model = get_user_model()
        names = iter(player.name for player in players)
        while some := list(islice(names, NAMES_AT_ONCE)):
            if taken := model.objects.filter(username__in=some).first():
                raise DemoRefused(f"The name {taken.get_username()} is taken: is there a demo world already?")
        for key, player in enumerate(players, start=bulk.next_id(model)):
            player.key = key
        bulk.insert(
            model,
            USER_COLUMNS,
            (
                (
                    player.key,
                    _password(player),
                    player.staff,
                    player.name,
                    "",
                    "",
                    player.email,
                    player.staff,
                    player.active,
                    player.joined_at,
                )
                for player in players
            ),
        )

    def record_demo_transfers(self, transfers: Sequence[DemoTransfer], bulk: Bulk) -> None:
        bulk.insert(PointEvent, EVENT_COLUMNS, _heist_events(transfers))

    def record_demo_purchases(self, purchases: Sequence[DemoPurchase], bulk: Bulk) -> None:
        rows = ((p.player.key, -p.coins, CoinReason.SHIELD.value, p.reference, p.at) for p in purchases)
        bulk.insert(CoinEntry, COIN_COLUMNS, rows)

    def settle_demo_players(self, players: Sequence[DemoPlayer], bulk: Bulk) -> None:
        bulk.insert(PointEvent, EVENT_COLUMNS, _first_events(players))
        bulk.insert(
            CoinEntry,
            COIN_COLUMNS,
            (
                (player.key, player.starting_coins, CoinReason.PURCHASE.value, "", player.joined_at)
                for player in players
                if player.starting_coins
            ),
        )
        bulk.insert(
            PlayerProfile,
            ("user", "points", "monthly_points", "coins", "referral_code", "referred_by"),
            (
                (
                    player.key,
                    player.starting_points,
                    player.points,
                    player.coins,
                    _referral_code(player),
                    player.referrer.key if player.referrer else None,
                )
                for player in players
            ),
        )


def _password(player: DemoPlayer) -> str:
    """Return what is stored: a hash, always the same for the same known password, or one that no password fits."""
    return make_password(player.password, salt="demo") if player.password else f"{UNUSABLE_PASSWORD_PREFIX}demo"


def _referral_code(player: DemoPlayer) -> str:
    # From the name, so that the same world has the same codes; invented players have nothing to lose by it.
    return "".join(Random(player.name).choices(REFERRAL_ALPHABET, k=REFERRAL_CODE_LENGTH))  # noqa: S311


def _heist_events(transfers: Sequence[DemoTransfer]) -> Iterator[tuple[Any, ...]]:
    for transfer in transfers:
        reference = f"heist:{transfer.heist_id}"
        yield transfer.attacker.key, "HEIST_GAIN", transfer.points, reference, transfer.at
        yield transfer.victim.key, "HEIST_LOSS", -transfer.points, reference, transfer.at


def _first_events(players: Sequence[DemoPlayer]) -> Iterator[tuple[Any, ...]]:
    """Yield where the points of the beginning come from."""
    for player in players:
        rest = player.starting_points
        if rest >= SIGNUP_POINTS:
            rest -= SIGNUP_POINTS
            yield player.key, "SIGNUP", SIGNUP_POINTS, "", player.joined_at
        if rest:
            yield player.key, "ACHIEVEMENT_UNLOCK", rest, "", player.joined_at
