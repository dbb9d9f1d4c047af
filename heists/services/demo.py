"""Building the demo world (spec section 8)."""

from __future__ import annotations

import datetime as dt
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from random import Random

from django.conf import settings
from django.db import router, transaction
from django.utils import timezone, translation

from .. import conf
from ..demo import batch as columns
from ..demo import people, script
from ..demo.ahead import ahead
from ..demo.bulk import Bulk
from ..demo.host import DemoEconomy, DemoPlayer
from ..demo.news import MUTED, Newsroom, Words
from ..demo.world import World
from ..economy import Economy, get_economy
from ..errors import DemoRefused
from ..models import Heist, HeistNotification, HeistToken, Letter, LetterPreference, RuleSet, Shield, TokenGrant
from .event_types import seed_event_types

PLAYERS, HEISTS = 40, 600
LEAST_PLAYERS = len(people.CAST) + 8
LEAST_HEISTS = 2 * script.ATTACKS
LEAST_DAYS, MOST_DAYS = 60, 3650
# More, and too many players would be out of tokens, on cooldown or protected for a lively game.
ATTEMPTS_A_PLAYER_AND_DAY = 0.25
# Heists held in memory at a time.
BATCH = 10_000
# From here on it is quicker to invent in a process of its own, and to make indexes and foreign keys at the end.
LARGE = 50_000


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was built."""

    players: int
    heists: int
    notifications: int
    days: int
    known_passwords: bool


def seed_demo(
    *,
    players: int = PLAYERS,
    heists: int = HEISTS,
    seed: int = 1,
    force: bool = False,
    now: dt.datetime | None = None,
    progress: Callable[[int], object] = lambda heists: None,
) -> Seeded:
    """Build a demo world that ends at `now`, in one transaction: all of it or nothing.

    The same numbers and `now` give the same world. Sign-ins with known passwords are made only while DEBUG is on.
    `progress` is told how many more heists are written. Raises DemoRefused (an economy without the demo's hooks, too
    few players, or a database that has players already, unless it is `force`d).
    """
    now = (now or timezone.now()).replace(microsecond=0)
    economy = get_economy()
    if not isinstance(economy, DemoEconomy):
        raise DemoRefused(
            f"{type(economy).__name__} can't build demo players: let it inherit from heists.demo.host.DemoEconomy too."
        )
    days = _days(players, heists)
    using = router.db_for_write(Heist)
    if not force and _has_players(economy, using):
        raise DemoRefused("This database has players already. Use --force to put the demo world beside them.")

    bulk = Bulk(using)
    laws = bulk.laws_last() if heists >= LARGE else nullcontext()
    with _no_collection(), transaction.atomic(using=using), laws, translation.override(settings.LANGUAGE_CODE):
        built = _build(economy, bulk, players, heists, Random(seed), now, days, progress)  # noqa: S311 - a story
    bulk.analyze()
    return built


@contextmanager
def _no_collection() -> Iterator[None]:
    """Switch the garbage collector off: millions of rows hold no cycle, and to look for one takes long."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _days(players: int, heists: int) -> int:
    if players < LEAST_PLAYERS:
        raise DemoRefused(f"A demo world has at least {LEAST_PLAYERS} players.")
    if heists < LEAST_HEISTS:
        raise DemoRefused(f"A demo world has at least {LEAST_HEISTS} heists.")
    days = max(LEAST_DAYS, round(heists / players / ATTEMPTS_A_PLAYER_AND_DAY))
    if days > MOST_DAYS:
        needed = -(-heists // int(MOST_DAYS * ATTEMPTS_A_PLAYER_AND_DAY))
        raise DemoRefused(f"{heists} heists would take {players} players {days} days; ask for {needed} players.")
    return days


def _has_players(economy: Economy, using: str) -> bool:
    return bool(economy.players().using(using).exists() or Heist.objects.using(using).exists())


def _build(
    economy: DemoEconomy,
    bulk: Bulk,
    players: int,
    heists: int,
    random: Random,
    now: dt.datetime,
    days: int,
    progress: Callable[[int], object],
) -> Seeded:
    numbers, start = conf.rules(), now - dt.timedelta(days=days)
    seed_event_types()
    rule_set = RuleSet.objects.using(bulk.using).in_force(numbers)
    everybody = list(people.invent(players, rules=numbers, start=start, random=random, known_passwords=settings.DEBUG))
    staff = [DemoPlayer(people.STAFF, start, password=people.PASSWORD, staff=True)] if settings.DEBUG else []
    economy.create_demo_players([*everybody, *staff], bulk)

    has_coins = isinstance(economy, Economy) and economy.has_coins
    first_notification_id = bulk.next_id(HeistNotification)
    newsroom = Newsroom(first_id=first_notification_id, now=now, letters=conf.email_enabled(), random=random)
    world = World(
        everybody,
        numbers=numbers,
        rules_id=rule_set.pk,
        attempts=heists,
        start=start,
        now=now,
        random=random,
        newsroom=newsroom,
        has_coins=has_coins,
        staff_key=staff[0].key if staff else None,
        first_heist_id=bulk.next_id(Heist),
        first_grant_id=bulk.next_id(TokenGrant),
        first_shield_id=bulk.next_id(Shield),
    )
    words, told = Words(), 0
    batches = world.batches(BATCH)
    for batch in ahead(batches, everybody) if heists >= LARGE else batches:
        _write(batch, words, economy, bulk)
        told += len(batch.notifications)
        progress(len(batch.heists))
    _write_tokens(everybody, bulk)
    economy.settle_demo_players(everybody, bulk)
    muted = [player for player in everybody[: len(people.CAST)] if player.name == MUTED]
    bulk.insert(
        LetterPreference,
        ("user", "muted", "muted_types", "updated_at"),
        [(player.key, True, "[]", player.joined_at) for player in muted],
    )
    bulk.reset_sequences()
    return Seeded(players, heists, told, days, bool(staff))


def _write(batch: columns.Batch, words: Words, economy: DemoEconomy, bulk: Bulk) -> None:
    bulk.insert(Heist, columns.HEIST_COLUMNS, words.heists(batch.heists))
    bulk.insert(TokenGrant, columns.GRANT_COLUMNS, batch.grants)
    bulk.insert(Shield, columns.SHIELD_COLUMNS, batch.shields)
    bulk.insert(HeistNotification, columns.NOTIFICATION_COLUMNS, words.notifications(batch.notifications))
    bulk.insert(Letter, columns.LETTER_COLUMNS, batch.letters)
    if batch.transfers:
        economy.record_demo_transfers(batch.transfers, bulk)
    if batch.purchases:
        economy.record_demo_purchases(batch.purchases, bulk)


def _write_tokens(players: Sequence[DemoPlayer], bulk: Bulk) -> None:
    bulk.insert(
        HeistToken,
        columns.TOKEN_COLUMNS,
        (
            (
                player.key,
                player.tokens,
                player.tokens_earned,
                player.tokens_spent,
                player.last_earned_at,
                player.last_spent_at,
                player.joined_at,
                max(player.last_earned_at or player.joined_at, player.last_spent_at or player.joined_at),
            )
            for player in players
            if player.has_token_row
        ),
    )
