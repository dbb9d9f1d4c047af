"""What a transfer writes, and what the audit reads of this host: each row, and no other."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from gamification import errors
from gamification.economy import GamificationEconomy
from gamification.models import CoinEntry, CoinReason, MonthlyStanding, PlayerProfile, PointEvent
from heists.errors import InsufficientCoins
from tests.factories import player

pytestmark = pytest.mark.django_db
AWARD = "ACHIEVEMENT_UNLOCK"
AUGUST, SEPTEMBER, OCTOBER, NOVEMBER, DECEMBER = (dt.date(2026, month, 1) for month in range(8, 13))


def balances(user: Any, **values: Any) -> None:
    PlayerProfile.objects.filter(user=user).update(**values)


def with_events(*events: tuple[dt.date, int], **profile: Any) -> Any:
    """Return a player with these events, each a month and points, and with what `profile` names."""
    user = player()
    balances(user, **profile)
    for month, points in events:
        PointEvent.objects.create(user=user, type_id=AWARD, points=points, month=month)
    return user


def heist(alice: Any, bob: Any) -> Any:
    return SimpleNamespace(
        pk=12,
        victim_id=bob.pk,
        victim_points_before=100,
        victim_points_after=70,
        attacker_id=alice.pk,
        attacker_points_before=100,
        attacker_points_after=130,
        points_stolen=30,
        created_at=timezone.now(),
    )


@pytest.mark.parametrize("side", ["alice", "bob"])
def test_a_transfer_from_a_balance_that_changed_moves_nothing(alice: Any, bob: Any, side: str) -> None:
    balances({"alice": alice, "bob": bob}[side], monthly_points=99)

    with pytest.raises(errors.StaleBalance), transaction.atomic():
        GamificationEconomy().transfer(heist(alice, bob))

    assert not PointEvent.objects.filter(reference="heist:12").exists()


def test_a_transfer_moves_points_and_writes_an_event_for_each_side(alice: Any, bob: Any, profile: Any) -> None:
    row = heist(alice, bob)

    GamificationEconomy().transfer(row)

    assert (profile(alice).monthly_points, profile(bob).monthly_points) == (130, 70)
    events = PointEvent.objects.filter(reference="heist:12")
    assert set(events.values_list("user_id", "type_id", "points", "created_at")) == {
        (alice.pk, "HEIST_GAIN", 30, row.created_at),
        (bob.pk, "HEIST_LOSS", -30, row.created_at),
    }


def test_the_audits_hooks_list_each_row_of_heists_and_shields_and_no_other(
    alice: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gamification.economy.REFERENCES_PER_QUERY", 2)
    economy = GamificationEconomy()
    for number in range(1, 6):
        PointEvent.objects.create(user=alice, type_id="HEIST_GAIN", points=number, reference=f"heist:{number}")
        PointEvent.objects.create(user=bob, type_id="HEIST_LOSS", points=-number, reference=f"heist:{number}")
        CoinEntry.objects.create(user=bob, amount=-number, reason=CoinReason.SHIELD, reference=f"shield:{number}")
        CoinEntry.objects.create(user=bob, amount=number, reason=CoinReason.AWARD, reference=f"shield:{number}")
    PointEvent.objects.create(user=alice, type_id=AWARD, points=9, reference="heist:1")
    PointEvent.objects.create(user=alice, type_id="HEIST_GAIN", points=8, reference="heist:x")
    PointEvent.objects.create(user=alice, type_id="HEIST_GAIN", points=7, reference="")

    both = [(n, user.pk, sign * n) for n in range(1, 6) for user, sign in ((alice, 1), (bob, -1))]
    assert sorted(economy.point_events(range(1, 5))) == sorted(row for row in both if row[0] < 5)
    assert sorted(economy.all_point_events()) == sorted([*both, (0, alice.pk, 8), (0, alice.pk, 7)])
    assert sorted(economy.shield_payments([1, 2, 4, 5])) == [(n, bob.pk, n) for n in (1, 2, 4, 5)]
    assert not list(economy.point_events([])) and not list(economy.shield_payments([]))


def test_the_ledger_sums_all_events_of_the_players_it_is_asked_for(alice: Any, bob: Any) -> None:
    PointEvent.objects.create(user=alice, type_id=AWARD, points=11)
    carol = User.objects.create(username="carol")

    # Signing up gives 100.
    assert GamificationEconomy().ledger_balances([alice.pk, carol.pk]) == {alice.pk: 111}


@pytest.mark.parametrize(
    ("month", "found"),
    [
        # The balance of a month that is over is none of this month; one that began by another host's clock counts.
        (SEPTEMBER, None),
        (OCTOBER, 7),
        (NOVEMBER, 5),
        (DECEMBER, 0),
    ],
)
def test_the_ledger_of_a_balance_is_of_its_month(
    monkeypatch: pytest.MonkeyPatch, month: dt.date, found: int | None
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: dt.datetime(2026, 10, 20, tzinfo=dt.UTC))
    alice = with_events((SEPTEMBER, 3), (OCTOBER, 4), (OCTOBER, 3), (NOVEMBER, 5), month=month)
    with_events((OCTOBER, 9), month=OCTOBER)

    assert GamificationEconomy().ledger_balances([alice.pk]) == ({} if found is None else {alice.pk: found})


def test_the_balance_of_each_month_is_beside_the_sum_of_its_events() -> None:
    alice = with_events((SEPTEMBER, 3), (OCTOBER, 4), (OCTOBER, 3), month=NOVEMBER, monthly_points=5)
    bob = with_events((SEPTEMBER, 9), month=NOVEMBER, monthly_points=6)
    for user, month, points in ((alice, AUGUST, 1), (alice, SEPTEMBER, 2), (bob, SEPTEMBER, 9)):
        MonthlyStanding.objects.create(player=user, month=month, points=points)

    assert [tuple(one) for one in GamificationEconomy().monthly_balances([alice.pk]) or ()] == [
        (alice.pk, AUGUST, 1, 0),
        (alice.pk, SEPTEMBER, 2, 3),
        (alice.pk, OCTOBER, 0, 7),
        (alice.pk, NOVEMBER, 5, 0),
    ]


def test_a_standing_and_a_profile_of_one_month_are_added() -> None:
    alice = with_events((OCTOBER, 9), month=OCTOBER, monthly_points=5)
    MonthlyStanding.objects.create(player=alice, month=OCTOBER, points=4)

    assert [tuple(one) for one in GamificationEconomy().monthly_balances([alice.pk]) or ()] == [
        (alice.pk, OCTOBER, 9, 9)
    ]


def test_coins_are_spent_as_a_shield_with_its_reference(alice: Any, profile: Any) -> None:
    economy = GamificationEconomy()
    balances(alice, coins=50)
    with pytest.raises(InsufficientCoins) as raised, transaction.atomic():
        economy.spend_coins(alice.pk, 51, reference="shield:1")
    assert raised.value.details == {"required": 51, "available": 50}

    with transaction.atomic():
        economy.spend_coins(alice.pk, 50, reference="shield:1")

    assert economy.coins(alice.pk) == profile(alice).coins == 0
    assert list(CoinEntry.objects.values_list("user_id", "amount", "reason", "reference")) == [
        (alice.pk, -50, "SHIELD", "shield:1")
    ]
