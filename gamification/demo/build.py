"""Builds the demo world in one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from random import Random
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone, translation

from heists import in_force
from heists.models import EmailPreference, Heist, HeistNotification, RuleSet
from heists.services.after_migrate import seed_event_types

from .accounts import insert_balances, insert_players, insert_staff_groups
from .bulk import Bulk
from .players import CAST, EMAIL_OFF, MANAGER, PASSWORD, SIGN_IN, STAFF, SUPPORT, Player, invent_players
from .rows import Rows
from .scenario import ATTACKS
from .simulation import Simulation

DEFAULT_PLAYERS, DEFAULT_HEISTS = 40, 600
MIN_PLAYERS = len(CAST) + 8
MIN_HEISTS = 2 * ATTACKS
MIN_DAYS, MAX_DAYS = 60, 3650
# With more, too many players would be on cooldown or protected.
ATTEMPTS_PER_PLAYER_AND_DAY = 0.25
# Memory holds the rows of this many heists at a time.
BATCH_HEISTS = 10_000
# From this size on it is faster to create indexes and foreign keys at the end.
LARGE_WORLD_HEISTS = 50_000
NAMES_PER_QUERY = 500


class DemoError(Exception):
    """The demo world cannot be built with these numbers, or in this database."""


class Built(NamedTuple):
    """What `seed_demo` has built."""

    players: int
    heists: int
    notifications: int
    days: int


def seed_demo(
    *,
    players: int = DEFAULT_PLAYERS,
    heists: int = DEFAULT_HEISTS,
    seed: int = 1,
    force: bool = False,
    now: dt.datetime | None = None,
    progress: Callable[[int], object] = lambda heists: None,
) -> Built:
    """Build a demo world that ends at `now`, in one transaction (docs/specification.md, "Commands").

    The same numbers and `now` give the same rows. Accounts with a known password are created only while DEBUG is on.
    `progress` is called with the number of heists written since its last call. Raises DemoError if there are too few
    players or heists, if the database has players and `force` is off, or if a name is taken.
    """
    now = (now or timezone.now()).replace(microsecond=0)
    days = _days(players, heists)
    if not force and get_user_model().objects.exists():
        raise DemoError("This database has players. Use --force to add the demo world to them.")
    bulk = Bulk()
    indexes = bulk.indexes_last() if heists >= LARGE_WORLD_HEISTS else nullcontext()
    with transaction.atomic(), translation.override(settings.LANGUAGE_CODE):
        with indexes:
            built = _build(bulk, players, heists, Random(seed), now, days, progress)  # noqa: S311 - a simulation
        bulk.reset_sequences()
        bulk.analyze()
    return built


def _days(players: int, heists: int) -> int:
    """Return how many days the simulation takes."""
    if players < MIN_PLAYERS:
        raise DemoError(f"A demo world has at least {MIN_PLAYERS} players.")
    if heists < MIN_HEISTS:
        raise DemoError(f"A demo world has at least {MIN_HEISTS} heists.")
    days = max(MIN_DAYS, round(heists / players / ATTEMPTS_PER_PLAYER_AND_DAY))
    if days > MAX_DAYS:
        needed = -(-heists // int(MAX_DAYS * ATTEMPTS_PER_PLAYER_AND_DAY))
        raise DemoError(f"{players} players take {days} days for {heists} heists. Use at least {needed} players.")
    return days


def _build(
    bulk: Bulk,
    player_count: int,
    heists: int,
    random: Random,
    now: dt.datetime,
    days: int,
    progress: Callable[[int], object],
) -> Built:
    rules, start = in_force.rules(now), now - dt.timedelta(days=days)
    seed_event_types()
    players = invent_players(player_count, rules=rules, start=start, random=random)
    cast = {player.name: player for player in players[: len(CAST)]}
    staff: list[Player] = []
    if settings.DEBUG:
        superuser = Player(STAFF, start, password=PASSWORD, is_staff=True, is_superuser=True)
        staff = [superuser, *(Player(name, start, password=PASSWORD, is_staff=True) for name in (SUPPORT, MANAGER))]
        cast[SIGN_IN].password = PASSWORD
    accounts = [*players, *staff]
    _check_names(accounts)
    insert_players(accounts, bulk)
    insert_staff_groups(staff[1:2], staff[2:])
    rows = Rows(
        bulk, rule_set=RuleSet.objects.in_force(rules), now=now, staff=staff[1] if staff else None, random=random
    )
    simulation = Simulation(players, rules=rules, rows=rows, heists=heists, start=start, now=now, random=random)
    for _attempt in simulation.run():
        if rows.pending() >= BATCH_HEISTS:
            progress(rows.write())
    progress(rows.write())
    insert_balances(players, bulk)
    muted = cast[EMAIL_OFF]
    preference = (muted.key, True, "[]", muted.joined_at)
    bulk.insert(EmailPreference, ["player", "muted", "muted_types", "updated_at"], [preference])
    return Built(player_count, rows.written[Heist], rows.written[HeistNotification], days)


def _check_names(players: Sequence[Player]) -> None:
    names = [player.name for player in players]
    for first in range(0, len(names), NAMES_PER_QUERY):
        taken = get_user_model().objects.filter(username__in=names[first : first + NAMES_PER_QUERY]).first()
        if taken:
            raise DemoError(f"The name {taken.get_username()} is taken. Does this database have a demo world?")
