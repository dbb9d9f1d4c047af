from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, models, transaction

from gamification.models import PlayerProfile, PointEventTypeMaster
from heists.choices import GrantReason, HeistNotificationType, HeistStatus, LetterState
from heists.conf import rules
from heists.demo import batch as columns
from heists.demo.bulk import Bulk
from heists.economy import Economy, get_economy
from heists.errors import DemoRefused
from heists.models import Heist, HeistNotification, HeistToken, Letter, RuleSet, Shield, TokenGrant
from heists.queries import facts
from heists.services import execute_heist
from heists.services.demo import LEAST_HEISTS, LEAST_PLAYERS, seed_demo
from tests.factories import player

from .books import assert_books_balance

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 3, 14, 15, 9, 26, tzinfo=dt.UTC)


class HostWithoutDemo(Economy):
    pass


def laws() -> set[Any]:
    """Return every index and constraint of this database, in the words that make it."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(
                "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'table') AND name <> 'sqlite_stat1'"
            )
            return set(cursor.fetchall())
        cursor.execute("SELECT pg_get_indexdef(indexrelid) FROM pg_index")
        indexes = set(cursor.fetchall())
        cursor.execute("SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint")
        return indexes | set(cursor.fetchall())


def world() -> list[list[tuple[Any, ...]]]:
    """Return every row of both apps and of the users, as values."""
    models = [*apps.get_app_config("heists").get_models(), get_user_model()]
    models += [m for m in apps.get_app_config("gamification").get_models() if m is not PointEventTypeMaster]
    return [
        list(model.objects.order_by("pk").values_list(*(f.name for f in model._meta.concrete_fields if f.name != "id")))
        for model in models
        if model._meta.model_name != "ruleset"
    ]


def test_without_flags_it_adds_only_the_two_event_types_and_is_safe_twice() -> None:
    PointEventTypeMaster.objects.filter(name__startswith="HEIST").delete()
    out = io.StringIO()

    call_command("seed_heists", stdout=out)
    call_command("seed_heists", stdout=out)

    assert out.getvalue().splitlines() == [
        "HEIST_GAIN: added",
        "HEIST_LOSS: added",
        "HEIST_GAIN: there already",
        "HEIST_LOSS: there already",
    ]
    assert not get_user_model().objects.exists()


def test_without_a_table_of_event_types_it_says_so(settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "POINT_EVENT_TYPE_MODEL": None}
    out = io.StringIO()

    call_command("seed_heists", stdout=out)

    assert "POINT_EVENT_TYPE_MODEL" in out.getvalue()


def test_the_demo_world_is_lively_and_its_books_balance() -> None:
    seed_demo(now=NOW)

    assert_books_balance()
    call_command("audit_heists", stdout=io.StringIO())
    assert set(Heist.objects.values_list("status", flat=True)) == set(HeistStatus.values)
    assert set(HeistNotification.objects.values_list("type", flat=True)) == set(HeistNotificationType.values)
    assert set(TokenGrant.objects.values_list("reason", flat=True)) == set(GrantReason.values)
    assert set(Letter.objects.values_list("state", flat=True)) == set(LetterState.values)
    assert Shield.objects.live(NOW).exists()
    assert Heist.objects.count() == 600


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_smallest_world_of_any_seed_balances_too(seed: int) -> None:
    seed_demo(players=LEAST_PLAYERS, heists=LEAST_HEISTS, seed=seed, now=NOW)

    assert_books_balance()
    assert set(Heist.objects.values_list("status", flat=True)) == set(HeistStatus.values)
    assert set(HeistNotification.objects.values_list("type", flat=True)) == set(HeistNotificationType.values)


def test_a_large_world_has_its_indexes_and_keys_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = laws()
    monkeypatch.setattr("heists.services.demo.LARGE", LEAST_HEISTS)

    seed_demo(players=LEAST_PLAYERS, heists=LEAST_HEISTS, now=NOW)

    assert laws() == before
    assert_books_balance()


@pytest.mark.django_db(transaction=True)
def test_a_key_of_nobody_does_not_get_into_a_large_world() -> None:
    before = laws()
    bulk = Bulk(connection.alias)

    with pytest.raises(IntegrityError), transaction.atomic(), bulk.laws_last():
        bulk.insert(HeistToken, columns.TOKEN_COLUMNS, [(4711, 1, 1, 0, NOW, None, NOW, NOW)])

    assert laws() == before
    assert not HeistToken.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_host_may_name_its_tables_as_it_likes() -> None:
    """Its indexes and keys are found under a name that has to be quoted, too."""

    class Ledger(models.Model):  # noqa: DJ008 - shown to nobody
        player = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")

        class Meta:
            app_label = "gamification"
            db_table = "Ledger of Points"

    try:
        with connection.schema_editor() as editor:
            editor.create_model(Ledger)
        before, bulk, somebody = laws(), Bulk(connection.alias), player()

        with transaction.atomic(), bulk.laws_last():
            bulk.insert(Ledger, ("player",), [(somebody.pk,)])
            assert laws() < before

        assert laws() == before
        assert Ledger.objects.get().player_id == somebody.pk
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Ledger)
        del apps.all_models["gamification"]["ledger"]
        apps.clear_cache()


def test_other_rules_make_another_world_that_balances(settings: Any) -> None:
    settings.TIME_ZONE = "America/New_York"
    settings.HEISTS = {
        **settings.HEISTS,
        "TOKEN_COST": 2,
        "COOLDOWN_HOURS": 1,
        "TARGET_COOLDOWN_HOURS": 0,
        "MAX_HEISTS_PER_DAY": 1,
        "PAIR_COOLDOWN_HOURS": 100,
        "TOKENS_PER_REFERRAL": 0,
    }

    seed_demo(heists=300, now=NOW)

    assert_books_balance()


def test_the_same_seed_and_moment_give_the_same_world(settings: Any) -> None:
    settings.DEBUG = True
    seed_demo(heists=100, now=NOW)
    first = world()
    for model in (*apps.get_app_config("heists").get_models(), *apps.get_app_config("gamification").get_models()):
        if model not in (PointEventTypeMaster, RuleSet):
            model._base_manager.all()._raw_delete(connection.alias)
    get_user_model().objects.all()._raw_delete(connection.alias)

    seed_demo(heists=100, now=NOW)

    assert world() == first


def test_the_cast_stands_where_the_readme_says(settings: Any) -> None:
    settings.DEBUG = True
    seed_demo(now=NOW)
    users = {user.username: user for user in get_user_model().objects.all()}

    seen = facts.read(
        users["alice"].pk,
        [user.pk for user in users.values()],
        economy=get_economy(),
        numbers=rules(),
        now=NOW,
        using="default",
    )

    def code(name: str) -> str | None:
        refusal = next(seen.refusals(seen.victim(users[name].pk)), None)
        return refusal and refusal.code

    assert HeistToken.objects.get(user=users["alice"]).balance >= 3
    assert code("bob") is None and seen.amount(seen.victim(users["bob"].pk)) >= 80
    assert code("carol") == "protected"
    assert code("dave") is None and seen.victim(users["dave"].pk).shield_id
    assert code("erin") == "insufficient_points"
    assert code("ivan") == "inactive_target"
    assert users["alice"].check_password("heist-demo") and not users["alice"].is_staff
    assert users["staff"].check_password("heist-demo") and users["staff"].is_superuser


def test_with_debug_off_nobody_gets_a_known_password(settings: Any) -> None:
    settings.DEBUG = False

    seed_demo(players=LEAST_PLAYERS, heists=LEAST_HEISTS)

    users = get_user_model().objects.all()
    assert not any(user.has_usable_password() for user in users)
    assert not users.filter(is_staff=True).exists()


def test_a_database_with_players_is_refused_unless_forced() -> None:
    player("somebody", points=500)

    with pytest.raises(CommandError, match="--force"):
        call_command("seed_heists", demo=True)
    call_command("seed_heists", demo=True, force=True, players=LEAST_PLAYERS, heists=LEAST_HEISTS, stdout=io.StringIO())

    assert PlayerProfile.objects.count() == LEAST_PLAYERS + 1


def test_a_second_demo_world_is_refused_and_leaves_nothing() -> None:
    seed_demo(players=LEAST_PLAYERS, heists=LEAST_HEISTS)

    with pytest.raises(DemoRefused, match="taken"):
        seed_demo(players=LEAST_PLAYERS, heists=LEAST_HEISTS, force=True)

    assert PlayerProfile.objects.count() == LEAST_PLAYERS


@pytest.mark.parametrize("flags", [{"players": 3}, {"heists": 3}, {"players": 40, "heists": 10_000_000}])
def test_a_world_that_can_t_be_is_refused(flags: dict[str, int]) -> None:
    with pytest.raises(CommandError):
        call_command("seed_heists", demo=True, **flags)

    assert not get_user_model().objects.exists()


def test_an_economy_without_the_hooks_says_that_it_can_t(settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "ECONOMY": f"{__name__}.HostWithoutDemo"}

    with pytest.raises(CommandError, match="DemoEconomy"):
        call_command("seed_heists", demo=True)


@pytest.mark.django_db(transaction=True)
def test_the_game_goes_on_in_the_demo_world() -> None:
    seed_demo(players=LEAST_PLAYERS, heists=LEAST_HEISTS)
    users = get_user_model().objects

    heist = execute_heist(attacker_id=users.get(username="alice").pk, victim_id=users.get(username="bob").pk)

    assert heist.status == HeistStatus.SUCCESS
    assert heist.pk > LEAST_HEISTS
    assert_books_balance()


def test_it_reports_progress_and_prints_one_sentence() -> None:
    out, told = io.StringIO(), []

    seed_demo(players=LEAST_PLAYERS, heists=LEAST_HEISTS, progress=told.append)

    assert sum(told) == LEAST_HEISTS
    assert out.getvalue() == ""
