"""The facts are read by a statement that is compiled once; no value of one call reaches the next."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.db.models import DateTimeField, F, JSONField, Value
from django.db.models.expressions import RawSQL
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gamification.economy import GamificationEconomy
from gamification.models import PointEvent
from heists.conf import rules
from heists.economy import Economy, get_economy
from heists.errors import UnknownPlayer
from heists.queries import facts
from heists.services import execute_heist
from tests.factories import player

pytestmark = pytest.mark.django_db


class Season(GamificationEconomy):
    """A host whose players have more points in some seasons than in others."""

    bonus = 0

    def players(self) -> Any:
        rows = super().players().annotate(earned=F("monthly_points") + Value(self.bonus))
        return rows.exclude(username=f"banned in {self.bonus}")


class Lists(GamificationEconomy):
    """A host whose query set holds a value without a hash."""

    badges: list[str] = []

    def players(self) -> Any:
        names = Value(self.badges, output_field=JSONField())
        return super().players().annotate(names=names)


class Joined(GamificationEconomy):
    """A host that says when players joined in a form of its own."""

    def __init__(self, joined_at: Any) -> None:
        self.joined_at = joined_at

    def players(self) -> Any:
        rows = get_user_model().objects.annotate(monthly_points=Value(100))
        return rows.annotate(joined_at=self.joined_at) if self.joined_at is not None else rows


class OnAReplica(GamificationEconomy):
    """A host that names a database for its players, which is not there now."""

    def players(self) -> Any:
        return super().players().using("replica")


class Nobody(GamificationEconomy):
    def players(self) -> Any:
        return super().players().none()


def read(attacker: Any, *victims: Any, economy: Economy | None = None, now: dt.datetime | None = None) -> facts.Facts:
    return facts.read(
        attacker.pk,
        [victim.pk for victim in victims],
        economy=economy or get_economy(),
        rules=rules(),
        now=now or timezone.now(),
        using="default",
    )


def test_each_query_reads_its_own_players() -> None:
    alice, bob, cid = player(tokens=1, points=10), player(tokens=2, points=20), player(tokens=3, points=30)

    for attacker, *victims in ((alice, bob), (bob, cid), (cid, alice), (cid, bob, alice), (alice, bob, cid)):
        seen = read(attacker, *victims)
        assert seen.attacker.user == attacker
        assert set(seen.players) == {attacker.pk, *(victim.pk for victim in victims)}
        for person, points in ((alice, 10), (bob, 20), (cid, 30)):
            if person.pk in seen.players:
                assert seen.players[person.pk].monthly_points == points
                token = seen.players[person.pk].token
                assert token is not None and token.balance == points // 10


def test_each_query_has_its_own_windows() -> None:
    alice, bob = player(tokens=1), player(points=1000)
    execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    now = timezone.now()

    for days, outcomes in ((0, 1), (2, 0), (0, 1)):
        assert len(read(alice, bob, now=now + dt.timedelta(days=days)).attacker.outcomes) == outcomes


def test_a_queryset_that_changes_is_compiled_again() -> None:
    economy, alice, bob = Season(), player(points=100), player("banned in 7", points=200)

    for bonus in (0, 5, 7, 0):
        economy.bonus = bonus
        seen = read(alice, bob, economy=economy)
        assert seen.attacker.user.earned == 100 + bonus
        assert (bob.pk in seen.players) == (bonus != 7)


def test_a_queryset_with_a_value_without_a_hash_is_compiled_each_time() -> None:
    economy, alice, bob = Lists(), player(), player()

    for names in (["a" * 100 + "b"], ["a" * 100 + "c"]):
        economy.badges = names
        assert read(alice, bob, economy=economy).attacker.user.names == names


@pytest.mark.parametrize("value", [["a"], memoryview(bytearray(b"a"))], ids=["list", "writable bytes"])
def test_a_parameter_without_a_hash_makes_a_key_equal_to_itself_only(value: Any) -> None:
    rows = get_economy().players().annotate(n=RawSQL("%s", (value,)))

    one, other = facts._Players(rows, "default"), facts._Players(rows, "default")

    assert one == one and one != other
    assert len({one, other}) == 2


def test_a_parameter_whose_hash_is_broken_is_the_hosts_to_mend() -> None:
    class Broken:
        def __hash__(self) -> int:
            raise RuntimeError("a defect of the host")

    with pytest.raises(RuntimeError, match="of the host"):
        facts._Players(get_economy().players().annotate(n=RawSQL("%s", (Broken(),))), "default")


def test_a_statement_is_shared_only_for_one_database_model_sql_and_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings, "other", connections.settings["default"])
    rows = get_economy().players()
    another_model = rows.all()
    another_model.model = PointEvent
    one = facts._Players(rows.filter(pk=1), "default")

    assert one == facts._Players(rows.filter(pk=1), "default") and one != "players"
    assert hash(one) == hash(facts._Players(rows.filter(pk=1), "default"))
    for different in (
        facts._Players(rows.filter(pk=1), "other"),
        facts._Players(another_model.filter(pk=1), "default"),
        facts._Players(rows.exclude(pk=1), "default"),
        facts._Players(rows.filter(pk=2), "default"),
        facts._Players(rows.annotate(n=Value(1)), "default"),
    ):
        assert one != different
    numbers = [facts._Players(rows.annotate(n=Value(n)), "default") for n in (1, 1.0)]
    assert numbers[0] != numbers[1]
    del connections["other"]


def test_an_economy_without_players_has_no_attacker() -> None:
    with pytest.raises(UnknownPlayer):
        read(player(), player(), economy=Nobody())


def test_the_database_that_is_named_is_read_whatever_the_host_names() -> None:
    facts._compiled.cache_clear()
    facts._compiled_own.cache_clear()
    alice, bob = player(), player(points=7)

    assert read(alice, bob, economy=OnAReplica()).victim(bob.pk).monthly_points == 7
    own = facts.read_own(bob.pk, economy=OnAReplica(), rules=rules(), now=timezone.now(), using="default")
    assert own.attacker.monthly_points == 7


def test_only_a_player_who_is_not_there_is_unknown() -> None:
    found = read(player(), player())

    with pytest.raises(UnknownPlayer):
        found.victim(0)
    with pytest.raises(TypeError):
        found.victim([])


def test_the_statement_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob, cid = player(), player(), player()
    read(alice, bob)
    monkeypatch.setattr("heists.queries.facts.FilteredRelation", None)

    with CaptureQueriesContext(connection) as queries:
        read(bob, cid)

    assert len(queries) == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_threads_share_the_statement_and_nothing_else() -> None:
    pairs = [(player(points=number), player(points=100 + number)) for number in range(8)]

    def points(number: int) -> list[tuple[int, int]]:
        attacker, victim = pairs[number]
        try:
            seen = [read(attacker, victim) for _time in range(20)]
            return [(found.attacker.monthly_points, found.victim(victim.pk).monthly_points) for found in seen]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        for number, found in enumerate(threads.map(points, range(8))):
            assert found == [(number, 100 + number)] * 20
    assert get_user_model().objects.count() == 16


@pytest.mark.parametrize(
    "joined_at",
    [None, Value("yesterday"), Value(3), Value(dt.date(2026, 1, 1)), Value(None, output_field=DateTimeField())],
    ids=["missing", "text", "a number", "a date", "null"],
)
def test_a_player_of_whom_the_host_does_not_say_when_they_joined_is_no_newcomer(joined_at: Any) -> None:
    alice, bob = player(), player()

    assert read(alice, bob, economy=Joined(joined_at)).victim(bob.pk).joined_at is None
    assert read(alice, bob, economy=Joined(F("date_joined"))).victim(bob.pk).joined_at == bob.date_joined


def test_an_attribute_of_the_user_model_is_not_taken_for_the_hosts_annotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_user_model(), "joined_at", timezone.now(), raising=False)
    alice, bob = player(), player()

    assert read(alice, bob, economy=Joined(None)).victim(bob.pk).joined_at is None
