from __future__ import annotations

import datetime as dt
from random import Random
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from gamification.demo.build import seed_demo
from gamification.demo.players import CAST, PASSWORD, invent_players
from gamification.models import PlayerProfile
from heists.conf import rules
from heists.economy import get_economy
from heists.models import HeistNotification, HeistToken, Reversal
from heists.queries import facts


def test_the_random_players_are_of_every_kind(now: dt.datetime) -> None:
    players = invent_players(500, rules=rules(), start=now, random=Random(1))
    random_players = players[len(CAST) :]

    assert [player.name for player in players[: len(CAST)]] == list(CAST)
    assert len({player.name for player in players}) == 500
    assert any(player.email for player in random_players) and not all(player.email for player in random_players)
    assert any(not player.active for player in random_players)
    assert any(player.starting_points < rules().min_target_points for player in random_players)
    assert any(player.attackable and not player.attacks for player in random_players)
    assert all(player.starting_points < 60_000 for player in random_players)


def test_players_join_before_the_first_heist_and_after_their_referrer(now: dt.datetime) -> None:
    players = invent_players(100, rules=rules(), start=now, random=Random(1))

    assert all(player.joined_at < now for player in players)
    referred = [player for player in players if player.referrer]
    assert referred
    assert all(player.referrer.joined_at < player.joined_at for player in referred if player.referrer)


@pytest.mark.django_db
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_cast_ends_in_the_states_that_cast_names(now: dt.datetime, seed: int) -> None:
    seed_demo(now=now, seed=seed)
    keys = dict(get_user_model().objects.values_list("username", "pk"))
    alice = facts.read(
        keys["alice"], list(keys.values()), economy=get_economy(), rules=rules(), now=now, using="default"
    )
    tokens = dict(HeistToken.objects.values_list("user__username", "balance"))

    def code(name: str) -> str | None:
        failure = next(alice.failures(alice.victim(keys[name])), None)
        return failure.code if failure else None

    assert tokens["alice"] >= 3
    assert code("bob") is None and alice.amount(alice.victim(keys["bob"])) >= 80
    assert code("carol") == "protected"
    assert code("dave") is None and alice.victim(keys["dave"]).shield_id
    assert code("erin") == "insufficient_points"
    assert tokens["frank"] == 0
    assert HeistNotification.objects.filter(user=keys["heidi"], type="SHIELD_ACTIVATED").exists()
    assert code("ivan") == "inactive_target"
    leader = PlayerProfile.objects.order_by("-monthly_points").values_list("user__username", flat=True).first()
    assert leader == "oscar"


@pytest.mark.django_db
def test_known_passwords_are_set_while_debug_is_on(now: dt.datetime, settings: Any) -> None:
    settings.DEBUG = True
    seed_demo(now=now)
    users = get_user_model().objects
    alice, staff, support, manager = (users.get(username=name) for name in ("alice", "staff", "support", "manager"))

    assert alice.check_password(PASSWORD) and not alice.is_staff
    assert staff.check_password(PASSWORD) and staff.is_superuser
    assert support.check_password(PASSWORD) and support.is_staff and not support.is_superuser
    assert manager.check_password(PASSWORD) and manager.is_staff and not manager.is_superuser
    others = users.exclude(pk__in=[alice.pk, staff.pk, support.pk, manager.pk])
    assert not any(user.has_usable_password() for user in others)


@pytest.mark.django_db
def test_no_password_is_set_while_debug_is_off(now: dt.datetime, settings: Any) -> None:
    settings.DEBUG = False
    seed_demo(now=now)

    assert not any(user.has_usable_password() for user in get_user_model().objects.all())
    assert not get_user_model().objects.filter(is_staff=True).exists()


@pytest.mark.django_db
def test_support_views_everything_and_puts_things_right(now: dt.datetime, settings: Any, client: Client) -> None:
    settings.DEBUG = True
    seed_demo(now=now)
    support = get_user_model().objects.get(username="support")
    client.force_login(support)

    assert {group.name for group in support.groups.all()} == {"Support"}
    for model in ("heist", "heisttoken", "tokengrant", "reversal", "shield", "heistnotification", "outboxemail"):
        assert client.get(reverse(f"admin:heists_{model}_changelist")).status_code == 200, model
    for permission in ("reverse_heist", "grant_tokens", "send_again"):
        assert support.has_perm(f"heists.{permission}"), permission
    assert not support.has_perm("auth.change_user")
    assert not support.has_perm("heists.change_rules")
    assert {row.reversed_by_name for row in Reversal.objects.all()} == {"support"}
    assert client.get("/admin/auth/user/").status_code == 403


@pytest.mark.django_db
def test_managers_steer_the_rules_too(now: dt.datetime, settings: Any, client: Client) -> None:
    settings.DEBUG = True
    seed_demo(now=now)
    manager = get_user_model().objects.get(username="manager")
    client.force_login(manager)

    assert {group.name for group in manager.groups.all()} == {"Managers"}
    for permission in ("reverse_heist", "grant_tokens", "send_again", "change_rules"):
        assert manager.has_perm(f"heists.{permission}"), permission
    assert client.get(reverse("admin:heists_rules")).status_code == 200
    assert client.get("/admin/auth/user/").status_code == 403
