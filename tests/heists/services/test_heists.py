"""execute_heist, and every row it writes (docs/specification.md, "The rules")."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from gamification.models import PlayerProfile, PointEvent
from heists import rules
from heists.choices import FailureCode, GrantReason, HeistNotificationType, HeistStatus
from heists.errors import FeatureDisabled, IdempotencyKeyReused, InactiveAccount, UnknownPlayer
from heists.models import Heist, HeistNotification, HeistToken, RuleSet, Shield
from heists.services import execute_heist, grant_tokens
from tests.factories import player, points_of, rewrite, tokens_of

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


def rules_in_force(settings: Any, **numbers: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, **numbers}


def backdate(heist: Heist, by: dt.timedelta) -> None:
    """Move the heist, and the time when its token was spent, into the past."""
    rewrite(heist, created_at=heist.created_at - by)
    if heist.is_outcome:
        HeistToken.objects.filter(user=heist.attacker_id).update(last_spent_at=heist.created_at - by)


def test_a_success_moves_points_spends_the_token_and_notifies_both() -> None:
    alice, bob = player("alice", points=10, tokens=2), player("bob", points=1700)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.7")

    heist.refresh_from_db()
    assert (heist.status, heist.points_stolen, heist.token_spent) == (HeistStatus.SUCCESS, 85, True)
    assert (heist.victim_points_before, heist.victim_points_after) == (1700, 1615)
    assert (heist.attacker_points_before, heist.attacker_points_after) == (10, 95)
    assert (heist.failure_code, heist.failure_reason, heist.retry_at) == (None, None, None)
    assert heist.ip_address == "192.0.2.7"
    assert (points_of(alice), points_of(bob)) == (95, 1615)
    token = tokens_of(alice)
    assert (token.balance, token.total_earned, token.total_spent) == (1, 2, 1)
    assert token.last_spent_at == heist.created_at
    events = PointEvent.objects.filter(reference=f"heist:{heist.pk}").values_list("user", "type", "points")
    assert set(events) == {(alice.pk, "HEIST_GAIN", 85), (bob.pk, "HEIST_LOSS", -85)}
    messages = dict(HeistNotification.objects.filter(heist=heist).values_list("type", "message"))
    assert messages == {
        "HEIST_SUCCESS": "Success! You pulled a heist on bob and stole 85 points!",
        "HEIST_VICTIM": "Oh no! alice just pulled a heist on you and stole 85 of your monthly points!",
    }


def test_the_metadata_says_who_how_many_and_until_when_the_victim_is_safe() -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=1000)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    notification = bob.heist_notifications.get().metadata
    safe_until = dt.datetime.fromisoformat(notification.pop("protection_until"))
    assert abs(safe_until - heist.created_at - 48 * HOUR) < dt.timedelta(milliseconds=1)
    assert notification == {
        "attacker_id": alice.pk,
        "attacker_name": "alice",
        "victim_id": bob.pk,
        "victim_name": "bob",
        "points": 50,
    }


def test_a_name_that_is_an_address_is_shown_to_nobody() -> None:
    alice, bob = player("alice@example.com", tokens=1), player("bob", points=1000)

    execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    notification = bob.heist_notifications.get()
    assert "@" not in notification.message + str(notification.metadata)
    assert f"Player {alice.pk}" in notification.message


def rejected(heist: Heist, code: FailureCode) -> None:
    """Check that the rejection is recorded, and that nothing else happened."""
    heist.refresh_from_db()
    assert heist.failure_code == code
    assert heist.status == code.status
    assert heist.failure_reason
    assert (heist.token_spent, heist.points_stolen) == (False, 0)
    assert heist.victim_points_before == heist.victim_points_after
    assert heist.attacker_points_before == heist.attacker_points_after
    assert not heist.notifications.exists()
    assert not PointEvent.objects.filter(reference=f"heist:{heist.pk}").exists()


def test_robbing_oneself_is_rejected() -> None:
    alice = player("alice", points=500, tokens=1)

    heist = execute_heist(attacker_id=alice.pk, victim_id=alice.pk)

    rejected(heist, FailureCode.SELF_TARGET)
    assert heist.victim_points_before == heist.attacker_points_before == 500


def test_an_inactive_victim_is_rejected() -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=500, is_active=False)

    rejected(execute_heist(attacker_id=alice.pk, victim_id=bob.pk), FailureCode.INACTIVE_TARGET)


def test_too_few_tokens_are_rejected_and_a_first_attempt_makes_the_token_row() -> None:
    alice, bob = player("alice"), player("bob", points=500)

    rejected(execute_heist(attacker_id=alice.pk, victim_id=bob.pk), FailureCode.INSUFFICIENT_TOKENS)

    assert tokens_of(alice).balance == 0


def test_the_cooldown_runs_from_the_last_spent_token() -> None:
    alice, bob, carol = player("alice", tokens=2), player("bob", points=500), player("carol", points=500)
    first = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    second = execute_heist(attacker_id=alice.pk, victim_id=carol.pk)

    rejected(second, FailureCode.COOLDOWN)
    assert second.retry_at == first.created_at + 24 * HOUR
    backdate(first, 24 * HOUR)
    assert execute_heist(attacker_id=alice.pk, victim_id=carol.pk).status == HeistStatus.SUCCESS


def test_an_outcome_beyond_the_daily_limit_is_rejected(settings: Any) -> None:
    rules_in_force(settings, MAX_HEISTS_PER_DAY=2, COOLDOWN_HOURS=0)
    alice = player("alice", tokens=5)
    first, *_ = [execute_heist(attacker_id=alice.pk, victim_id=player(points=500).pk) for _ in range(2)]

    third = execute_heist(attacker_id=alice.pk, victim_id=player(points=500).pk)

    rejected(third, FailureCode.DAILY_LIMIT)
    assert third.retry_at == first.created_at + 24 * HOUR
    backdate(first, 24 * HOUR)
    assert execute_heist(attacker_id=alice.pk, victim_id=player(points=500).pk).status == HeistStatus.SUCCESS


def test_the_pair_cooldown_rejects_the_same_pair_alone(settings: Any) -> None:
    rules_in_force(settings, PAIR_COOLDOWN_HOURS=72, COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0)
    alice, dora, bob = player("alice", tokens=3), player("dora", tokens=1), player("bob", points=500)
    first = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    backdate(first, 60 * HOUR)

    second = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    rejected(second, FailureCode.PAIR_COOLDOWN)
    assert execute_heist(attacker_id=dora.pk, victim_id=bob.pk).status == HeistStatus.SUCCESS


def test_a_protected_victim_is_rejected() -> None:
    alice, dora, bob = player("alice", tokens=1), player("dora", tokens=1), player("bob", points=500)
    first = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    second = execute_heist(attacker_id=dora.pk, victim_id=bob.pk)

    rejected(second, FailureCode.PROTECTED)
    assert second.retry_at == first.created_at + 48 * HOUR
    assert tokens_of(dora).balance == 1


@pytest.mark.parametrize("points", [0, 15, 19])
def test_a_victim_with_too_few_points_is_rejected(points: int) -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=points)

    rejected(execute_heist(attacker_id=alice.pk, victim_id=bob.pk), FailureCode.INSUFFICIENT_POINTS)


def test_the_monthly_loss_limit_cuts_the_amount_and_then_rejects(settings: Any) -> None:
    rules_in_force(settings, TARGET_COOLDOWN_HOURS=0)
    bob = player("bob", points=1000)
    robbers = [player(tokens=1) for _ in range(4)]

    heists = [execute_heist(attacker_id=robber.pk, victim_id=bob.pk) for robber in robbers]

    # 5 % of what is there, until a tenth of the 1000 is gone.
    assert [heist.points_stolen for heist in heists] == [50, 47, 3, 0]
    rejected(heists[-1], FailureCode.LOSS_LIMIT)
    assert heists[-1].retry_at == rules.next_month(rules.Rules(), timezone.now())
    assert points_of(bob) == 900


def test_a_live_shield_takes_the_token_and_no_points() -> None:
    alice, bob = player("alice", points=5, tokens=1), player("bob", points=500)
    shield = Shield.objects.create(player=bob, cost=50, expires_at=timezone.now() + HOUR)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    heist.refresh_from_db()
    shield.refresh_from_db()
    assert (heist.status, heist.failure_code, heist.token_spent) == ("FAILED_SHIELD", "shield", True)
    assert (points_of(alice), points_of(bob)) == (5, 500)
    assert (shield.used_by, shield.used_at) == (heist, heist.created_at)
    token = tokens_of(alice)
    assert (token.balance, token.last_spent_at) == (0, heist.created_at)
    notification = HeistNotification.objects.get(heist=heist)
    assert (notification.user, notification.type) == (bob, HeistNotificationType.SHIELD_ACTIVATED)
    assert "alice" in notification.message


def test_a_shield_blocks_one_attack_and_protects_from_no_other() -> None:
    alice, dora, bob = player("alice", tokens=1), player("dora", tokens=1), player("bob", points=500)
    Shield.objects.create(player=bob, cost=50, expires_at=timezone.now() + HOUR)

    first = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    second = execute_heist(attacker_id=dora.pk, victim_id=bob.pk)

    assert (first.status, second.status) == (HeistStatus.FAILED_SHIELD, HeistStatus.SUCCESS)


def test_a_shield_past_its_time_blocks_nothing() -> None:
    alice, bob, now = player("alice", tokens=1), player("bob", points=500), timezone.now()
    Shield.objects.create(player=bob, cost=50, bought_at=now - 2 * HOUR, expires_at=now - HOUR)

    assert execute_heist(attacker_id=alice.pk, victim_id=bob.pk).status == HeistStatus.SUCCESS


def test_a_switched_off_feature_leaves_no_row(settings: Any) -> None:
    rules_in_force(settings, ENABLED=False)
    alice, bob = player("alice", tokens=1), player("bob", points=500)

    with pytest.raises(FeatureDisabled):
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert not Heist.objects.exists()


def test_an_unknown_victim_and_an_inactive_attacker_are_errors() -> None:
    alice, bob = player("alice", tokens=1, is_active=False), player("bob", points=500)

    with pytest.raises(UnknownPlayer):
        execute_heist(attacker_id=player(tokens=1).pk, victim_id=0)
    with pytest.raises(InactiveAccount):
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert not Heist.objects.exists()


def test_a_player_without_a_profile_has_no_points_to_steal_but_can_win_some(django_user_model: Any) -> None:
    ghost, bob = django_user_model.objects.create(username="ghost"), player("bob", points=500, tokens=1)
    grant_tokens(player=ghost, amount=1, reason=GrantReason.PROMOTION, source="ghost")

    rejected(execute_heist(attacker_id=bob.pk, victim_id=ghost.pk), FailureCode.INSUFFICIENT_POINTS)
    heist = execute_heist(attacker_id=ghost.pk, victim_id=bob.pk)

    assert heist.status == HeistStatus.SUCCESS
    assert points_of(ghost) == 25


class TestIdempotencyKey:
    def test_the_same_key_is_the_same_outcome(self) -> None:
        alice, bob = player("alice", tokens=2), player("bob", points=500)

        first = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")
        second = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")

        assert first == second
        assert tokens_of(alice).balance == 1
        assert Heist.objects.count() == 1

    def test_the_same_key_is_the_same_rejection_even_when_the_answer_would_differ_now(self) -> None:
        alice, bob = player("alice"), player("bob", points=500)
        first = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")
        grant_tokens(player=alice, amount=1, reason=GrantReason.PROMOTION, source="later")

        second = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")

        assert first == second
        assert second.failure_code == FailureCode.INSUFFICIENT_TOKENS
        assert points_of(bob) == 500

    def test_the_same_key_is_a_replay_with_the_feature_off(self, settings: Any) -> None:
        alice, bob = player("alice", tokens=1), player("bob", points=500)
        first = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")
        rules_in_force(settings, ENABLED=False)

        assert execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k") == first

    def test_another_victim_with_the_same_key_is_an_error(self, settings: Any) -> None:
        rules_in_force(settings, COOLDOWN_HOURS=0)
        alice, bob, carol = player("alice", tokens=2), player("bob", points=500), player("carol", points=500)
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")

        with pytest.raises(IdempotencyKeyReused):
            execute_heist(attacker_id=alice.pk, victim_id=carol.pk, idempotency_key="k")

        assert points_of(carol) == 500
        assert tokens_of(alice).balance == 1

    def test_two_players_may_use_the_same_key(self) -> None:
        alice, bob = player("alice", points=500, tokens=1), player("bob", points=500, tokens=1)

        first = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")
        second = execute_heist(attacker_id=bob.pk, victim_id=alice.pk, idempotency_key="k")

        assert first != second


class TestRuleSets:
    def test_each_combination_of_rules_is_one_row_and_each_heist_refers_to_its_own(self, settings: Any) -> None:
        bob = player("bob", points=1000)
        first = execute_heist(attacker_id=player(tokens=1).pk, victim_id=bob.pk)
        again = execute_heist(attacker_id=player(tokens=1).pk, victim_id=bob.pk)
        rules_in_force(settings, TARGET_COOLDOWN_HOURS=0, STEAL_PERCENTAGE=2)

        other = execute_heist(attacker_id=player(tokens=1).pk, victim_id=bob.pk)

        assert first.rule_set == again.rule_set != other.rule_set
        assert RuleSet.objects.count() == 2
        assert other.points_stolen == 950 * other.rule_set.steal_percentage // 100 == 19

    def test_an_old_outcome_can_be_recomputed_from_its_rows(self, settings: Any) -> None:
        heist = execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1700).pk)
        rules_in_force(settings, STEAL_PERCENTAGE=50, MONTHLY_LOSS_PERCENT=90, MAX_STEAL_POINTS=1)

        judged_by = Heist.objects.get(pk=heist.pk).rule_set.rules
        victim = rules.Victim(heist.victim_id, True, heist.victim_points_before)

        assert rules.amount(judged_by, victim, heist.created_at) == heist.points_stolen == 85

    def test_the_rules_of_the_attempt_decide_about_windows_that_began_under_others(self, settings: Any) -> None:
        alice, bob, carol = player("alice", tokens=2), player("bob", points=500), player("carol", points=500)
        backdate(execute_heist(attacker_id=alice.pk, victim_id=bob.pk), 2 * HOUR)
        rules_in_force(settings, COOLDOWN_HOURS=2)

        assert execute_heist(attacker_id=alice.pk, victim_id=carol.pk).status == HeistStatus.SUCCESS


def test_a_heist_inside_a_transaction_is_an_error(transactional_db: None) -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=500)
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert points_of(bob) == 500


def test_points_and_tokens_add_up_after_a_day_of_heists(settings: Any) -> None:
    """Three players and a day of heists: no point or token is lost or created."""
    rules_in_force(settings, COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0)
    cast = [player(points=points, tokens=4) for points in (300, 1000, 2500)]
    total = sum(map(points_of, cast))

    # Everybody robs everybody, twice.
    for _round in range(2):
        for robber in cast:
            for robbed in cast:
                execute_heist(attacker_id=robber.pk, victim_id=robbed.pk)

    assert sum(map(points_of, cast)) == total
    for user in cast:
        profile = PlayerProfile.objects.get(user=user)
        assert profile.monthly_points == sum(user.point_events.values_list("points", flat=True))
        assert tokens_of(user).total_spent == user.heists_as_attacker.outcomes().count()


@override_settings(LANGUAGE_CODE="en")
def test_the_seven_statuses_and_fourteen_codes_are_the_ones_of_the_design() -> None:
    assert set(HeistStatus.values) == {
        "SUCCESS",
        "FAILED_COOLDOWN",
        "FAILED_TARGET_PROTECTED",
        "FAILED_SHIELD",
        "FAILED_INSUFFICIENT_POINTS",
        "FAILED_INSUFFICIENT_TOKENS",
        "FAILED_INVALID_TARGET",
    }
    assert len(FailureCode) == 14
