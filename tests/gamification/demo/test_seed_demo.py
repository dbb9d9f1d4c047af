"""The command `seed_demo`, and what it promises of the world as a whole."""

from __future__ import annotations

import datetime as dt
import io
import sys
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.core.management.color import no_style
from django.db import connection

from gamification.demo.build import MIN_HEISTS, MIN_PLAYERS, Built, DemoError, seed_demo
from gamification.models import PlayerProfile, PointEventTypeMaster, ReferralReward
from heists.choices import HeistStatus
from heists.models import RuleSet
from heists.services import execute_heist
from tests.factories import player, without_triggers
from tests.replay import assert_replay_agrees

pytestmark = pytest.mark.django_db
SMALLEST: Any = {"players": MIN_PLAYERS, "heists": MIN_HEISTS}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tables() -> list[Any]:
    """Return the models of all rows that `seed_demo` writes."""
    models = [m for label in ("heists", "gamification") for m in apps.get_app_config(label).get_models()]
    return [get_user_model(), *(m for m in models if m not in (PointEventTypeMaster, RuleSet))]


def rows() -> dict[Any, list[Any]]:
    return {model: list(model._base_manager.order_by("pk").values_list()) for model in tables()}


def empty_tables() -> None:
    """Delete all rows, and let ids begin at 1 again."""
    with without_triggers():
        for model in reversed(tables()):
            model._base_manager.all()._raw_delete(connection.alias)
    written = {model._meta.db_table for model in tables()}
    sequences = [s for s in connection.introspection.sequence_list() if s["table"] in written]
    with connection.cursor() as cursor:
        for sql in connection.ops.sequence_reset_by_name_sql(no_style(), sequences):
            cursor.execute(sql)


def test_the_same_numbers_and_time_give_the_same_rows(now: dt.datetime, settings: Any) -> None:
    settings.DEBUG = True
    empty_tables()
    seed_demo(heists=100, now=now)
    first = rows()

    empty_tables()
    seed_demo(heists=100, now=now)

    assert rows() == first


def test_each_referral_was_paid_in_the_month_of_its_sign_up(now: dt.datetime, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    seed_demo(**SMALLEST, now=now)

    referred = PlayerProfile.objects.exclude(referred_by=None).select_related("user")
    assert {(reward.reference, reward.referrer_id, reward.month) for reward in ReferralReward.objects.all()} == {
        (f"referral:{profile.user_id}", profile.referred_by_id, local.date().replace(day=1))
        for profile in referred
        for local in [profile.user.date_joined.astimezone(ZoneInfo("Asia/Tokyo"))]
    }
    assert referred and not PlayerProfile.objects.exclude(referral_waits_since=None).exists()


def test_another_seed_gives_other_rows(now: dt.datetime) -> None:
    seed_demo(**SMALLEST, now=now, seed=1)
    first = set(PlayerProfile.objects.values_list("user__username", "monthly_points"))

    empty_tables()
    seed_demo(**SMALLEST, now=now, seed=2)

    assert set(PlayerProfile.objects.values_list("user__username", "monthly_points")) != first


def test_a_database_with_players_needs_force() -> None:
    player("somebody", points=500)

    with pytest.raises(CommandError, match="--force"):
        call_command("seed_demo")
    assert PlayerProfile.objects.count() == 1
    call_command("seed_demo", force=True, stdout=io.StringIO(), **SMALLEST)

    assert PlayerProfile.objects.count() == MIN_PLAYERS + 1


def test_the_options_are_those_of_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def build(**numbers: Any) -> Built:
        asked.append({name: numbers[name] for name in ("players", "heists", "seed", "force")})
        return Built(1, 2, 3, 4)

    monkeypatch.setattr("gamification.demo.build.seed_demo", build)
    for options in ({}, {"heists": 410}, {"heists": 50}, {"players": 41, "heists": 5000, "seed": 7, "force": True}):
        call_command("seed_demo", stdout=io.StringIO(), **options)

    assert asked == [
        {"players": 60, "heists": 600, "seed": 1, "force": False},
        {"players": 41, "heists": 410, "seed": 1, "force": False},
        {"players": 40, "heists": 50, "seed": 1, "force": False},
        {"players": 41, "heists": 5000, "seed": 7, "force": True},
    ]


def test_a_second_demo_world_is_an_error_and_writes_nothing(seed_smallest: Callable[..., Built]) -> None:
    seed_smallest()
    before = rows()

    with pytest.raises(DemoError, match="alice"):
        seed_smallest(force=True)

    assert rows() == before


@pytest.mark.parametrize("numbers", [{"players": 3}, {"heists": 3}, {"players": 40, "heists": 10_000_000}])
def test_impossible_numbers_are_an_error(numbers: dict[str, int]) -> None:
    with pytest.raises(CommandError, match="least"):
        call_command("seed_demo", **numbers)

    assert not get_user_model().objects.exists()


def test_without_a_terminal_it_prints_one_sentence_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seed_demo", **SMALLEST)

    printed = capsys.readouterr()
    assert printed.out.startswith(f"Built {MIN_PLAYERS} players with {MIN_HEISTS} heists and ")
    assert printed.out.count("\n") == 1
    assert "heist-demo" not in printed.out
    assert printed.err == ""


def test_while_debug_is_on_it_prints_how_to_sign_in(capsys: pytest.CaptureFixture[str], settings: Any) -> None:
    settings.DEBUG = True

    call_command("seed_demo", **SMALLEST)

    assert (
        "Sign in as alice, or as staff, support or manager in the admin, with the password heist-demo."
        in capsys.readouterr().out
    )


def test_on_a_terminal_a_progress_bar_is_on_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)

    call_command("seed_demo", **SMALLEST)

    assert f"0/{MIN_HEISTS}" in terminal.getvalue()
    assert "%" not in capsys.readouterr().out


def test_progress_adds_up_to_all_heists(seed_smallest: Callable[..., Built], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gamification.demo.build.BATCH_HEISTS", 10)
    steps: list[int] = []

    seed_smallest(progress=steps.append)

    assert sum(steps) == MIN_HEISTS
    assert len(steps) > 2


@pytest.mark.django_db(transaction=True)
def test_the_game_goes_on_in_the_demo_world() -> None:
    seed_demo(**SMALLEST)
    keys = dict(get_user_model().objects.values_list("username", "pk"))

    heist = execute_heist(attacker_id=keys["alice"], victim_id=keys["bob"])

    assert heist.status == HeistStatus.SUCCESS
    assert_replay_agrees()
