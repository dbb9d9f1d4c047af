"""The facts of one player, read in one statement: those that the pair's query reads, with the losses summed up."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gamification.economy import GamificationEconomy
from gamification.models import PlayerProfile
from heists.conf import rules
from heists.economy import Economy
from heists.errors import UnknownPlayer
from heists.models import Heist, HeistNotification, HeistToken, Truce
from heists.queries import facts
from heists.rules import Loss
from heists.services import execute_heist
from tests.conftest import HeistSettings
from tests.factories import bought_shield, player, rewrite

pytestmark = pytest.mark.django_db
DAY = dt.timedelta(days=1)
INSTANT = dt.timedelta(microseconds=1)
MONTH = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


class Clock:
    """The time of the test: the first of March, soon after midnight."""

    def __init__(self) -> None:
        self.now = MONTH + dt.timedelta(minutes=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(timezone, "now", lambda: found.now)
    return found


@pytest.fixture
def often(heist_settings: HeistSettings) -> None:
    """Let heists follow one another."""
    heist_settings(COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0, MAX_HEISTS_PER_DAY=100, MONTHLY_LOSS_PERCENT=100)


def own(user: Any, economy: Economy | None = None) -> facts.Facts:
    return facts.read_own(
        user.pk, economy=economy or GamificationEconomy(), rules=rules(), now=timezone.now(), using="default"
    )


def rob(attacker: Any, victim: Any, at: dt.datetime | None = None) -> Heist:
    HeistToken.objects.filter(user=attacker).update(balance=F("balance") + 1, total_earned=F("total_earned") + 1)
    PlayerProfile.objects.filter(user=victim).update(monthly_points=1000)
    heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)
    assert heist.is_outcome, heist.failure_code
    if at:
        rewrite(heist, created_at=at)
    return heist


@pytest.mark.usefixtures("clock", "often")
def test_losses_are_one_and_outcomes_are_not_repeated() -> None:
    me, other = player(points=1000, tokens=1), player(points=1000, tokens=1)
    mine = [rob(me, player(points=1000)) for _ in range(3)]
    theirs = [rob(other, me) for _ in range(3)]
    rob(other, player(points=1000))
    rob(player(tokens=1), other)

    found = own(me).attacker

    assert len(found.outcomes) == 3
    assert {outcome.victim_id for outcome in found.outcomes} == {heist.victim_id for heist in mine}
    assert found.losses == [Loss(sum(heist.points_stolen for heist in theirs), theirs[-1].created_at)]
    pair = facts.read(
        me.pk, [other.pk, me.pk], economy=GamificationEconomy(), rules=rules(), now=timezone.now(), using="default"
    )
    assert found.monthly_points == pair.attacker.monthly_points
    assert set(found.outcomes) == set(pair.attacker.outcomes)


@pytest.mark.usefixtures("often")
def test_the_months_points_are_those_since_its_first_moment(clock: Clock, heist_settings: HeistSettings) -> None:
    heist_settings(TARGET_COOLDOWN_HOURS=0)
    me, thief = player(points=1000), player(tokens=1)
    for at in (MONTH, MONTH + INSTANT, MONTH - INSTANT, MONTH - DAY):
        rob(thief, me, at)
    heist_settings(TARGET_COOLDOWN_HOURS=72)

    assert own(me).attacker.losses == [Loss(100, MONTH + INSTANT)]


@pytest.mark.usefixtures("often")
def test_a_loss_of_last_month_still_protects(clock: Clock, heist_settings: HeistSettings) -> None:
    me, thief = player(points=1000), player(tokens=1)
    for at in (MONTH - INSTANT, MONTH - DAY):
        rob(thief, me, at)
    heist_settings(TARGET_COOLDOWN_HOURS=24)

    assert own(me).attacker.losses == [Loss(0, MONTH - INSTANT)]
    heist_settings(TARGET_COOLDOWN_HOURS=0)
    assert own(me).attacker.losses == []


@pytest.mark.usefixtures("clock", "often")
def test_an_attack_that_a_shield_blocked_is_no_loss() -> None:
    me, thief = player(points=1000), player(tokens=1)
    bought_shield(me, timezone.now())

    assert own(me).attacker.shield_id
    execute_heist(attacker_id=thief.pk, victim_id=me.pk)

    found = own(me).attacker
    assert (found.shield_id, found.losses) == (None, [])


@pytest.mark.usefixtures("often")
def test_outcomes_are_those_of_the_rolling_day(clock: Clock) -> None:
    me = player(tokens=1)
    edge = clock.now - DAY
    heists = [rob(me, player(points=1000), at) for at in (edge, edge - INSTANT)]

    assert [outcome.victim_id for outcome in own(me).attacker.outcomes] == [heists[0].victim_id]


@pytest.mark.usefixtures("clock")
def test_the_unread_count_is_mine() -> None:
    me, other = player(tokens=1), player(tokens=1)
    HeistNotification.objects.create(user=me, type="SHIELD_EXPIRED", message="")
    HeistNotification.objects.create(user=me, type="SHIELD_EXPIRED", message="", read=True)

    assert own(me).attacker.user.unread_count == 2
    assert own(other).attacker.user.unread_count == 1
    HeistNotification.objects.filter(user=me).update(read=True)
    assert own(me).attacker.user.unread_count == 0


def test_the_whole_token_row_comes_in_one_statement(clock: Clock) -> None:
    me = player(tokens=2)
    own(me)

    with CaptureQueriesContext(connection) as queries:
        token = own(me).attacker.token
        assert token is not None
        assert (token.balance, token.total_earned, token.total_spent) == (2, 2, 0)
        assert (token.last_earned_at, token.last_spent_at) == (clock.now, None)

    assert len(queries) == 1
    assert own(player()).attacker.token is None


def test_a_truce_that_is_not_over_is_read(clock: Clock) -> None:
    me = player()
    for start, end in ((-60, -30), (-30, 0), (-1, 30)):
        Truce.objects.create(player=me, starts_at=clock.now + start * DAY, ends_at=clock.now + end * DAY)

    assert [truce.starts_at for truce in own(me).attacker.truces] == [clock.now - DAY]


class Nobody(GamificationEconomy):
    def players(self) -> Any:
        return super().players().none()


def test_a_player_who_is_not_there_is_unknown() -> None:
    me = player()

    with pytest.raises(UnknownPlayer):
        own(me, Nobody())
    pk = me.pk
    me.delete()
    me.pk = pk
    with pytest.raises(UnknownPlayer):
        own(me)


def test_each_call_reads_its_own_player() -> None:
    first, second = player(points=10, tokens=1), player(points=20, tokens=2)

    for me, points in ((first, 10), (second, 20), (first, 10)):
        found = own(me)
        assert (found.attacker.user, found.attacker.monthly_points) == (me, points)
        assert set(found.players) == {me.pk}
