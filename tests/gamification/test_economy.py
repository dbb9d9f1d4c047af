"""The economy of the example host keeps what `heists.economy.Economy` requires."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gamification import errors, services
from gamification.economy import GamificationEconomy
from gamification.models import CoinEntry, PlayerProfile, PointEvent
from heists.economy import PointEventRow, get_economy
from heists.errors import InsufficientCoins
from tests.factories import player
from tests.plans import prepared_plans

pytestmark = pytest.mark.django_db


def heist(attacker: Any, victim: Any, points: int, *, attacker_before: int = 100, victim_before: int = 100) -> Any:
    """Return the attributes of a heist that a transfer reads."""
    return SimpleNamespace(
        pk=12,
        attacker_id=attacker.pk,
        victim_id=victim.pk,
        points_stolen=points,
        attacker_points_before=attacker_before,
        attacker_points_after=attacker_before + points,
        victim_points_before=victim_before,
        victim_points_after=victim_before - points,
        created_at=timezone.now(),
    )


def test_the_settings_name_this_economy() -> None:
    assert type(get_economy()) is GamificationEconomy


def test_every_user_is_a_player_with_or_without_a_profile(alice: Any, django_user_model: Any) -> None:
    django_user_model.objects.create_user("newcomer", is_active=False)

    players = GamificationEconomy().players()

    assert sorted(players.values_list("username", "monthly_points")) == [("alice", 100), ("newcomer", 0)]


@pytest.mark.parametrize("queryset", ["players", "leaderboard"])
def test_each_call_reads_the_balances_of_its_time(alice: Any, queryset: str) -> None:
    seen = []
    for _ in range(2):
        seen += [user.monthly_points for user in getattr(GamificationEconomy(), queryset)()]
        services.award_points(player=alice, type_name="CHECKIN", points=1)

    assert seen == [100, 101]


def test_the_leaderboard_is_best_first_with_ties_in_key_order(alice: Any, bob: Any, django_user_model: Any) -> None:
    django_user_model.objects.create_user("newcomer")
    carol = services.sign_up(username="carol", password="correct horse battery")
    services.award_points(player=carol, type_name="CHECKIN", points=1)

    leaderboard = GamificationEconomy().leaderboard()

    assert list(leaderboard.values_list("username", "monthly_points")) == [("carol", 101), ("alice", 100), ("bob", 100)]


def test_a_transfer_moves_monthly_points_with_two_events_in_three_statements(
    alice: Any, bob: Any, profile: Any
) -> None:
    success = heist(alice, bob, 5)

    with transaction.atomic():
        GamificationEconomy().lock(bob.pk, alice.pk)
        with CaptureQueriesContext(connection) as statements:
            GamificationEconomy().transfer(success)

    assert len(statements) == 3
    assert (profile(alice).monthly_points, profile(alice).points) == (105, 100)
    assert (profile(bob).monthly_points, profile(bob).points) == (95, 100)
    events = PointEvent.objects.filter(reference="heist:12").order_by("id")
    assert list(events.values_list("user", "type", "points", "created_at")) == [
        (alice.pk, "HEIST_GAIN", 5, success.created_at),
        (bob.pk, "HEIST_LOSS", -5, success.created_at),
    ]


@pytest.mark.parametrize("stale", [{"attacker_before": 99}, {"victim_before": 101}])
def test_a_transfer_from_a_stale_balance_moves_nothing(
    alice: Any, bob: Any, profile: Any, stale: dict[str, int]
) -> None:
    with pytest.raises(errors.StaleBalance), transaction.atomic():
        GamificationEconomy().transfer(heist(alice, bob, 5, **stale))

    assert (profile(alice).monthly_points, profile(bob).monthly_points) == (100, 100)
    assert not PointEvent.objects.exclude(type__name="SIGNUP").exists()


def test_coins_are_spent_with_a_ledger_line(alice: Any) -> None:
    services.award_coins(player=alice, amount=60)

    with transaction.atomic():
        GamificationEconomy().lock(alice.pk)
        GamificationEconomy().spend_coins(alice.pk, 50, reference="shield:3")

    assert GamificationEconomy().coins(alice.pk) == 10
    entry = CoinEntry.objects.latest("id")
    assert (entry.amount, entry.reason, entry.reference) == (-50, "SHIELD", "shield:3")


def test_too_few_coins_raise_the_error_of_heists(alice: Any) -> None:
    with pytest.raises(InsufficientCoins) as caught, transaction.atomic():
        GamificationEconomy().spend_coins(alice.pk, 50, reference="shield:3")

    assert caught.value.details == {"required": 50, "available": 0}


def test_a_user_without_a_profile_has_no_coins(django_user_model: Any) -> None:
    assert GamificationEconomy().coins(django_user_model.objects.create_user("newcomer").pk) == 0


def test_the_audit_finds_the_events_of_the_heists_it_names(alice: Any, bob: Any) -> None:
    with transaction.atomic():
        GamificationEconomy().transfer(heist(alice, bob, 5))
    services.award_points(player=alice, type_name="CHECKIN", points=1, reference="heist:12")

    rows = GamificationEconomy().point_events(iter([11, 12, 13]))

    assert sorted(rows) == sorted([PointEventRow(12, alice.pk, 5), PointEventRow(12, bob.pk, -5)])


@pytest.mark.postgresql
def test_postgresql_walks_the_leaderboard_by_its_index(django_user_model: Any) -> None:
    users = django_user_model.objects.bulk_create(
        django_user_model(username=f"player{n}", password="!") for n in range(3000)
    )
    PlayerProfile.objects.bulk_create(
        PlayerProfile(user=user, monthly_points=n * 7919 % 3001, referral_code=f"{n:012}")
        for n, user in enumerate(users)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE gamification_playerprofile, auth_user")

    plan = GamificationEconomy().leaderboard()[:20].explain()

    assert "profile_leaderboard" in plan
    assert "Seq Scan" not in plan


def test_a_search_finds_the_names_that_begin_with_the_text_in_the_order_of_code_points() -> None:
    for name in ("anna", "ana", "Ann", "an", "ao", "am", "an.d", "an\u00e9"):
        player(name)

    found = GamificationEconomy().search_players("an")

    assert found is not None
    assert [user.username for user in found] == ["an", "an.d", "ana", "anna", "an\u00e9"]
    exact = GamificationEconomy().search_players("an", exact=True)
    assert exact is not None and [user.username for user in exact] == ["an"]
    for nobody in ("", "a\x00", "b@"):
        player(f"{nobody or 'b'}@b".replace("\x00", ""))
        none = GamificationEconomy().search_players(nobody)
        assert none is not None and not none.exists()
    # In the form in which names are stored.
    composed = GamificationEconomy().search_players("ane\u0301")
    assert composed is not None and [user.username for user in composed] == ["an\u00e9"]


def test_a_search_walks_only_the_names_that_begin_with_the_text(django_user_model: Any) -> None:
    names = [f"{'zz' if n % 3 else 'a'}{n}" for n in range(8000)]
    django_user_model.objects.bulk_create(django_user_model(username=name, password="!") for name in names)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    found = GamificationEconomy().search_players("zz")
    assert found is not None
    page = found.filter(is_active=True)[:21]

    if connection.vendor == "postgresql":
        with prepared_plans() as plans:
            assert len(page) == 21
        plans.append(page.explain(analyze=True))
        for plan in plans:
            assert "gamification_username_code_points" in plan
            assert "Rows Removed" not in plan and "Sort" not in plan
    else:
        plan = page.explain()
        assert "(username>? AND username<?)" in plan and "TEMP B-TREE" not in plan


def test_the_leaderboard_has_everybody_with_a_point(alice: Any, bob: Any) -> None:
    for user, points in ((alice, 1), (bob, 0)):
        PlayerProfile.objects.filter(user=user).update(monthly_points=points)

    assert list(GamificationEconomy().leaderboard()) == [alice]
