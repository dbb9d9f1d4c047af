"""What staff should look at: players and addresses with unusually many heists (docs/specification.md, "Admin").

Three warnings are about the last 24 hours. Two are about attackers and victims who meet again, in the last 30 days of
the site's time zone, today included; they count outcomes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections
from django.db.models import CharField, Count, Exists, F, OuterRef, QuerySet, Subquery, UUIDField, Value, Window
from django.db.models.functions import Cast, Concat, Lag, Substr

from ..choices import GrantReason, HeistRole
from ..models import Heist, TokenGrant
from ..models.tokens import REFERRAL_SOURCE
from ..rules import DAY
from .cached import cached
from .rollups import OPEN_TIMEOUT, Rollup

# A warning needs more than this.
REJECTIONS_PER_HOUR = 10
ATTACKS_PER_DAY = 5
ATTACKERS_PER_ADDRESS = 3
MEETINGS = 2
MEETINGS_DAYS = 30
# How long the pairs that met in the open rest are cached: each of them takes a look-up in the whole period.
MEETINGS_TIMEOUT = dt.timedelta(minutes=10)
# Warnings of one kind.
PLACES = 10


@dataclass(frozen=True, slots=True)
class PlayerWarning:
    """A player with many rejections, or attacks, in the last day, and how many."""

    player: Any
    count: int


@dataclass(frozen=True, slots=True)
class PairWarning:
    """An attacker, a victim, and how many outcomes they had in the last 30 days."""

    attacker: Any
    victim: Any
    count: int


@dataclass(frozen=True, slots=True)
class AddressWarning:
    """An address, and from how many players attempts came from there in the last day."""

    address: str
    count: int


@dataclass(frozen=True, slots=True)
class Warnings:
    """The warnings of each kind, the worst first. Players whose account is deleted are left out."""

    many_rejections: list[PlayerWarning]
    attacked_often: list[PlayerWarning]
    shared_addresses: list[AddressWarning]
    pairs: list[PairWarning]
    referrers: list[PairWarning]

    @property
    def players(self) -> list[Any]:
        """All players who are named."""
        single = [warning.player for warning in (*self.many_rejections, *self.attacked_often)]
        return single + [player for pair in (*self.pairs, *self.referrers) for player in (pair.attacker, pair.victim)]

    def __bool__(self) -> bool:
        return any((self.many_rejections, self.attacked_often, self.shared_addresses, self.pairs, self.referrers))


def find(now: dt.datetime) -> Warnings:
    """Return all warnings.

    Slow answers are cached: for a minute, those about pairs for ten minutes, and what closed days say for two days.
    """
    today = now.astimezone(ZoneInfo(settings.TIME_ZONE)).date()
    rollup = Rollup.up_to(now, first_day(today), settings.TIME_ZONE)
    rejections, attacks = _many_rejections(now), _attacked_often(now)
    pairs, referrers = _pairs(rollup, "pairs", _outcomes(), MEETINGS), _pairs(rollup, "referrers", _of_referrals(), 0)
    keys = {key for *found, _count in (*rejections, *attacks, *pairs, *referrers) for key in found}
    to_key, people = get_user_model()._meta.pk.to_python, get_user_model()._default_manager
    players = {str(pk): player for pk, player in people.in_bulk([*map(to_key, keys)]).items()} if keys else {}

    def known(rows: Iterable[list[Any]]) -> list[list[Any]]:
        return [[*map(players.get, found), count] for *found, count in rows if all(key in players for key in found)]

    return Warnings(
        many_rejections=[PlayerWarning(*row) for row in known(rejections)],
        attacked_often=[PlayerWarning(*row) for row in known(attacks)],
        shared_addresses=[AddressWarning(*row) for row in _shared_addresses(now)],
        pairs=[PairWarning(*row) for row in known(pairs)],
        referrers=[PairWarning(*row) for row in known(referrers)],
    )


def summarize(rollup: Rollup) -> None:
    """Cache the pairs of the closed days before a page needs them."""
    _closed_pairs(rollup, "pairs", _outcomes(), MEETINGS)
    _closed_pairs(rollup, "referrers", _of_referrals(), 0)


def first_day(today: dt.date) -> dt.date:
    """Return the first of the 30 days in which pairs are counted."""
    return today - (MEETINGS_DAYS - 1) * DAY


def _many_rejections(now: dt.datetime) -> list[list[Any]]:
    """Return players with over 10 rejections in an hour of the last day, with their rejections of the day."""
    rejections = Heist.objects.rejections().filter(created_at__gte=now - DAY, created_at__lte=now)
    # A rejection less than an hour after the tenth one before it is the eleventh in that hour.
    eleventh = rejections.annotate(
        tenth_before=Window(
            Lag("created_at", REJECTIONS_PER_HOUR), partition_by=F("attacker"), order_by=[F("created_at"), F("pk")]
        )
    ).filter(tenth_before__gt=F("created_at") - dt.timedelta(hours=1))
    keys = cached(
        "many-rejections", lambda: [*map(str, set(eleventh.values_list("attacker", flat=True)))], OPEN_TIMEOUT
    )
    return _counted(rejections.filter(attacker__in=keys), HeistRole.ATTACKER, 0) if keys else []


def _attacked_often(now: dt.datetime) -> list[list[Any]]:
    """Return players whom others attacked over 5 times in the last day, rejections included."""
    attacks = Heist.objects.filter(created_at__gte=now - DAY, created_at__lte=now).exclude(attacker=F("victim"))
    return cached("attacked-often", lambda: _counted(attacks, HeistRole.VICTIM, ATTACKS_PER_DAY), OPEN_TIMEOUT)


def _counted(heists: QuerySet[Heist], role: HeistRole, more_than: int) -> list[list[Any]]:
    """Return the players with the most of these heists, as [key, count]."""
    counted = heists.order_by().values_list(role).annotate(count=Count("*")).filter(count__gt=more_than)
    return [[str(key), count] for key, count in counted.order_by("-count", role)[:PLACES]]


def _shared_addresses(now: dt.datetime) -> list[list[Any]]:
    """Return addresses from which over 3 players made an attempt in the last day, as [address, count]."""
    sent = Heist.objects.filter(created_at__gte=now - DAY, created_at__lte=now, ip_address__isnull=False)
    counted = sent.order_by().values_list("ip_address").annotate(count=Count("attacker", distinct=True))
    most = counted.filter(count__gt=ATTACKERS_PER_ADDRESS).order_by("-count", "ip_address")[:PLACES]
    return cached("shared-addresses", lambda: [*map(list, most)], OPEN_TIMEOUT)


def _outcomes() -> QuerySet[Heist]:
    return Heist.objects.outcomes().order_by()


def _of_referrals() -> QuerySet[Heist]:
    """Return the outcomes against victims for whose sign-up the attacker was granted tokens."""
    grants = TokenGrant.objects.filter(player=OuterRef("attacker"), reason=GrantReason.REFERRAL)
    return _outcomes().filter(Exists(grants.filter(source=Concat(Value(REFERRAL_SOURCE), _key_text("victim")))))


def _key_text(player: str) -> Any:
    """Return an expression for `str()` of a player's key in the outer query."""
    key: Any = Cast(OuterRef(player), CharField())
    uuid = isinstance(get_user_model()._meta.pk, UUIDField)
    if not uuid or connections[Heist.objects.db].features.has_native_uuid_field:
        return key
    # Stored without hyphens.
    first, *rest = (Substr(key, start, length) for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12)))
    return Concat(first, *(part for group in rest for part in (Value("-"), group)))


def _pairs(rollup: Rollup, name: str, heists: QuerySet[Heist], more_than: int) -> list[list[Any]]:
    """Return the pairs with the most of these heists in the period, as [attacker, victim, count].

    A pair that met in the open rest is counted there over the whole period; any other has its count of the closed days.
    """

    def met_again(since: dt.datetime, _until: dt.datetime | None) -> list[list[Any]]:
        theirs = _outcomes().filter(attacker=OuterRef("attacker"), victim=OuterRef("victim"))
        count = theirs.filter(created_at__gte=rollup.start).values("attacker").annotate(count=Count("*"))
        again = heists.filter(created_at__gte=since).values_list("attacker", "victim").distinct()
        return _most(again.annotate(count=Subquery(count.values("count"))), more_than)

    rows = (*_closed_pairs(rollup, name, heists, more_than), *rollup.open(name, met_again, MEETINGS_TIMEOUT))
    counts = {(attacker, victim): count for attacker, victim, count in rows}
    worst = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:PLACES]
    return [[*pair, count] for pair, count in worst]


def _closed_pairs(rollup: Rollup, name: str, heists: QuerySet[Heist], more_than: int) -> list[list[Any]]:
    def met(since: dt.datetime, until: dt.datetime | None) -> list[list[Any]]:
        closed = heists.filter(created_at__gte=since, created_at__lt=until)
        return _most(closed.values_list("attacker", "victim").annotate(count=Count("*")), more_than)

    return rollup.closed(name, met)


def _most(pairs: Any, more_than: int) -> list[list[Any]]:
    # Without the condition, the pairs of referrals are few before each is counted.
    pairs = pairs.filter(count__gt=more_than) if more_than else pairs
    most = pairs.order_by("-count", "attacker", "victim")[:PLACES]
    return [[str(attacker), str(victim), count] for attacker, victim, count in most]
