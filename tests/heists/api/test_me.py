"""Everything one screen needs: right, in few statements, and a 304 until something in it changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from gamification.economy import GamificationEconomy
from gamification.models import PlayerProfile
from heists.models import Heist, HeistNotification, HeistToken, Shield, Truce
from heists.rules import RULE_FIELDS
from heists.services import buy_shield, execute_heist
from tests import oracle
from tests.conftest import HeistSettings
from tests.factories import player, rewrite
from tests.heists.api.answers import URL, problem

pytestmark = pytest.mark.django_db
ME = f"{URL}me/"
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
APRIL = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


class Clock:
    """The time of the test."""

    def __init__(self) -> None:
        self.now = NOON


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(timezone, "now", lambda: found.now)
    return found


class Scene(NamedTuple):
    """A player who robbed somebody and was robbed, and then bought a shield."""

    me: Any
    client: APIClient
    clock: Clock
    settings: HeistSettings
    site: Any


@pytest.fixture
def scene(signed_in: Any, clock: Clock, heist_settings: HeistSettings, settings: Any) -> Scene:
    me, thief, rich = player("me", points=1000, tokens=3, coins=80), player("thief", tokens=1), player(points=1000)
    execute_heist(attacker_id=thief.pk, victim_id=me.pk)
    clock.now += HOUR
    execute_heist(attacker_id=me.pk, victim_id=rich.pk)
    clock.now += HOUR
    buy_shield(player_id=me.pk)
    clock.now += HOUR
    return Scene(me, signed_in(me), clock, heist_settings, settings)


def test_the_answer_has_everything_one_screen_needs(scene: Scene) -> None:
    body = scene.client.get(ME).json()

    rules = body.pop("rules")
    assert body == {
        "player": {"id": scene.me.pk, "name": "me"},
        "enabled": True,
        "tokens": {
            "balance": 2,
            "total_earned": 3,
            "total_spent": 1,
            "last_earned_at": "2026-03-02T12:00:00Z",
            "last_spent_at": "2026-03-02T13:00:00Z",
            "cooldown_ends_at": "2026-03-03T13:00:00Z",
        },
        "monthly_points": 1000,
        "coins": 30,
        "as_attacker": {"code": "cooldown", "retry_at": "2026-03-03T13:00:00Z", "heists_left_today": 9},
        "as_victim": {
            "code": "protected",
            "retry_at": "2026-03-04T12:00:00Z",
            "protected_until": "2026-03-04T12:00:00Z",
            "newcomer_until": None,
            "shield": {"expires_at": "2026-03-09T14:00:00Z"},
            "potential_points": 50,
            "lost_this_month": 50,
            "loss_left": 55,
        },
        "truce": {
            "enabled": True,
            "wanted": False,
            "in_force": False,
            "starts_at": None,
            "ends_at": None,
            "takes_effect_at": "2026-04-01T00:00:00Z",
        },
        "shield_shop": {"cost": 50, "days": 7},
        "unread_count": 3,
        "month_ends_at": "2026-04-01T00:00:00Z",
    }
    assert set(rules) == set(RULE_FIELDS)
    assert (rules["token_cost"], rules["steal_percentage"], rules["time_zone"]) == (1, 5, "UTC")


def test_a_new_player_has_nothing_yet(signed_in: Any, clock: Clock) -> None:
    body = signed_in(get_user_model().objects.create(username="new")).get(ME).json()

    assert set(body["tokens"].values()) == {0, None}
    assert (body["monthly_points"], body["coins"], body["unread_count"]) == (0, 0, 0)
    assert body["as_attacker"] == {"code": "insufficient_tokens", "retry_at": None, "heists_left_today": 10}
    assert body["as_victim"] == {
        "code": "insufficient_points",
        "retry_at": None,
        "protected_until": None,
        "newcomer_until": None,
        "shield": None,
        "potential_points": 0,
        "lost_this_month": 0,
        "loss_left": 0,
    }


def test_it_takes_one_statement_and_one_for_the_coins(scene: Scene) -> None:
    scene.client.get(ME)

    with CaptureQueriesContext(connection) as queries:
        assert scene.client.get(ME).status_code == 200

    assert len(queries) == 2


def test_many_outcomes_and_losses_are_few_rows(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.settings(COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0, MAX_HEISTS_PER_DAY=100, MONTHLY_LOSS_PERCENT=100)
    thief = player(tokens=5)
    for _ in range(5):
        execute_heist(attacker_id=thief.pk, victim_id=scene.me.pk)
    HeistToken.objects.filter(user=scene.me).update(balance=F("balance") + 4, total_earned=F("total_earned") + 4)
    for _ in range(6):
        Shield.objects.all().delete()
        execute_heist(attacker_id=scene.me.pk, victim_id=player(points=100).pk)

    body = scene.client.get(ME).json()

    lost = oracle.lost(scene.me.pk, scene.clock.now)
    assert body["as_victim"]["lost_this_month"] == lost
    assert body["as_victim"]["loss_left"] == oracle.left_to_lose(scene.me.pk, scene.clock.now)
    assert body["as_attacker"]["heists_left_today"] == 100 - len(oracle.outcomes(attacker=scene.me.pk))


OWN = ("own_truce", "insufficient_tokens", "cooldown", "daily_limit")
VICTIMS = ("inactive_target", "truce", "newcomer", "protected", "insufficient_points", "loss_limit")
WORLDS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "no cooldowns": {"COOLDOWN_HOURS": 0, "TARGET_COOLDOWN_HOURS": 0},
    "a full day": {"COOLDOWN_HOURS": 0, "MAX_HEISTS_PER_DAY": 1},
    "a low loss limit": {"TARGET_COOLDOWN_HOURS": 0, "MONTHLY_LOSS_PERCENT": 5},
    "a limit that was lowered": {"TARGET_COOLDOWN_HOURS": 0, "MONTHLY_LOSS_PERCENT": 1},
    "dear heists": {"TOKEN_COST": 3},
    "rich victims only": {"TARGET_COOLDOWN_HOURS": 0, "MIN_TARGET_POINTS": 1001},
    "free heists": {"TOKEN_COST": 0, "COOLDOWN_HOURS": 0},
}
MOMENTS = [0, 22, 45, 7 * 24, 31 * 24]


@pytest.mark.parametrize("hours", MOMENTS)
@pytest.mark.parametrize("world", WORLDS)
def test_the_codes_are_those_of_the_rules(scene: Scene, world: str, hours: int) -> None:
    scene.settings(**WORLDS[world])
    scene.clock.now += hours * HOUR
    now, rich, stranger = scene.clock.now, player(points=5000), player(tokens=5)

    body = scene.client.get(ME).json()

    mine = next((no for no in oracle.questions(scene.me.pk, rich.pk, now) if no.code in OWN), None)
    theirs = next((no for no in oracle.questions(stranger.pk, scene.me.pk, now) if no.code in VICTIMS), None)
    for side, no in (("as_attacker", mine), ("as_victim", theirs)):
        retry_at = body[side]["retry_at"]
        assert body[side]["code"] == (no and no.code)
        assert (retry_at and dt.datetime.fromisoformat(retry_at)) == (no and no.retry_at)
    assert body["as_victim"]["potential_points"] == oracle.amount(scene.me.pk, now)
    assert body["as_victim"]["lost_this_month"] == oracle.lost(scene.me.pk, now)
    assert body["as_victim"]["loss_left"] == max(0, oracle.left_to_lose(scene.me.pk, now))
    cooldown = oracle.cooldown_passed(scene.me.pk, now)
    ends_at = body["tokens"]["cooldown_ends_at"]
    assert (ends_at and dt.datetime.fromisoformat(ends_at)) == (cooldown and cooldown.retry_at)
    protection = oracle.out_of_protection(scene.me.pk, now)
    until = body["as_victim"]["protected_until"]
    assert (until and dt.datetime.fromisoformat(until)) == (protection and protection.retry_at)
    assert bool(body["as_victim"]["shield"]) == Shield.objects.live(now).exists()


def test_my_points_are_no_reason_of_mine(scene: Scene) -> None:
    """Whether there is room for a gain depends on the victim."""
    scene.settings(COOLDOWN_HOURS=0)
    PlayerProfile.objects.filter(user=scene.me).update(monthly_points=2**53 - 1)

    assert scene.client.get(ME).json()["as_attacker"]["code"] is None


def test_everything_is_readable_while_heists_are_off(scene: Scene) -> None:
    on = scene.client.get(ME).json()
    scene.settings(ENABLED=False)

    off = scene.client.get(ME).json()

    for side in ("as_attacker", "as_victim"):
        assert (off[side].pop("code"), off[side].pop("retry_at")) == ("feature_disabled", None)
        del on[side]["code"], on[side]["retry_at"]
    assert (on.pop("enabled"), off.pop("enabled")) == (True, False)
    assert off == on


# What a test changes alone: the change, and every leaf of the answer that it changes.


def leaves(body: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(body, dict):
        return {path: body}
    return {name: value for key in body for name, value in leaves(body[key], f"{path}.{key}".lstrip(".")).items()}


def setting(**changes: Any) -> Callable[[Scene], None]:
    return lambda scene: scene.settings(**changes)


def tokens(**changes: Any) -> Callable[[Scene], None]:
    return lambda scene: _done(HeistToken.objects.filter(user=scene.me).update(**changes))


def profile(**changes: Any) -> Callable[[Scene], None]:
    return lambda scene: _done(PlayerProfile.objects.filter(user=scene.me).update(**changes))


def later(**time: Any) -> Callable[[Scene], None]:
    def move(scene: Scene) -> None:
        scene.clock.now += dt.timedelta(**time)

    return move


def zone(scene: Scene) -> None:
    scene.site.TIME_ZONE = "Asia/Tokyo"


def wish(scene: Scene, **moments: dt.datetime) -> int:
    Truce.objects.create(player=scene.me, **moments)
    return 1


def _done(changed: int) -> None:
    assert changed


class WithoutCoins(GamificationEconomy):
    has_coins = False


def test_the_shop_is_open_without_coins_and_missing_on_a_site_without_any(scene: Scene) -> None:
    profile(coins=0)(scene)
    body = scene.client.get(ME).json()
    assert (body["coins"], body["shield_shop"]) == (0, {"cost": 50, "days": 7})

    scene.settings(ECONOMY=f"{__name__}.WithoutCoins")
    body = scene.client.get(ME).json()
    assert (body["coins"], body["shield_shop"]) == (None, None)


ATTACKER = {"as_attacker.code", "as_attacker.retry_at"}
VICTIM = {"as_victim.code", "as_victim.retry_at"}
PROTECTION = {"as_victim.protected_until", *VICTIM}
COOLDOWN = {"tokens.cooldown_ends_at", "as_attacker.retry_at"}
CHANGES: dict[str, tuple[Callable[[Scene], None], set[str]]] = {
    "the name": (
        lambda scene: _done(get_user_model().objects.filter(pk=scene.me.pk).update(username="renamed")),
        {"player.name"},
    ),
    "the switch": (setting(ENABLED=False), {"enabled", *ATTACKER, *VICTIM}),
    "a grant": (
        tokens(balance=F("balance") + 1, total_earned=F("total_earned") + 1),
        {"tokens.balance", "tokens.total_earned"},
    ),
    "a token spent": (
        tokens(balance=F("balance") - 1, total_spent=F("total_spent") + 1),
        {"tokens.balance", "tokens.total_spent"},
    ),
    "the time of a grant": (tokens(last_earned_at=NOON + HOUR), {"tokens.last_earned_at"}),
    "the time of a heist": (tokens(last_spent_at=NOON), {"tokens.last_spent_at", *COOLDOWN}),
    "the end of the cooldown": (
        later(hours=22),
        {"tokens.cooldown_ends_at", "as_attacker.heists_left_today", *ATTACKER},
    ),
    "points": (profile(monthly_points=1001), {"monthly_points"}),
    "points at stake": (
        profile(monthly_points=1020),
        {"monthly_points", "as_victim.potential_points", "as_victim.loss_left"},
    ),
    "coins": (profile(coins=31), {"coins"}),
    "no coins": (
        setting(ECONOMY=f"{__name__}.WithoutCoins"),
        {"coins", "shield_shop", "shield_shop.cost", "shield_shop.days"},
    ),
    "the end of the protection": (
        later(hours=45),
        {"tokens.cooldown_ends_at", "as_attacker.heists_left_today", *ATTACKER, *PROTECTION},
    ),
    "the shield's end": (
        lambda scene: _done(Shield.objects.update(expires_at=NOON + 99 * HOUR)),
        {"as_victim.shield.expires_at"},
    ),
    "the shield": (
        lambda scene: _done(Shield.objects.update(used_at=NOON + 2 * HOUR)),
        {"as_victim.shield", "as_victim.shield.expires_at"},
    ),
    "a loss": (
        lambda scene: rewrite(
            Heist.objects.filter(victim=scene.me), points_stolen=51, victim_points_after=949, attacker_points_after=51
        ),
        {"as_victim.lost_this_month", "as_victim.loss_left"},
    ),
    "an outcome": (
        lambda scene: rewrite(Heist.objects.filter(attacker=scene.me), created_at=NOON - 30 * HOUR),
        {"as_attacker.heists_left_today"},
    ),
    "a notification": (
        lambda scene: _done(HeistNotification.objects.filter(user=scene.me, type="HEIST_VICTIM").update(read=True)),
        {"unread_count"},
    ),
    "the time zone": (zone, {"rules.time_zone", "month_ends_at", "truce.takes_effect_at"}),
    "the token cost": (setting(TOKEN_COST=2), {"rules.token_cost"}),
    "more than my tokens": (setting(TOKEN_COST=3), {"rules.token_cost", *ATTACKER}),
    "the tokens per referral": (setting(TOKENS_PER_REFERRAL=2), {"rules.tokens_per_referral"}),
    "the percentage": (setting(STEAL_PERCENTAGE=4), {"rules.steal_percentage", "as_victim.potential_points"}),
    "the most points": (setting(MAX_STEAL_POINTS=99), {"rules.max_steal_points"}),
    "the fewest points": (setting(MIN_TARGET_POINTS=21), {"rules.min_target_points"}),
    "the cooldown": (setting(COOLDOWN_HOURS=25), {"rules.cooldown_hours", *COOLDOWN}),
    "the protection": (
        setting(TARGET_COOLDOWN_HOURS=49),
        {"rules.target_cooldown_hours", "as_victim.protected_until", "as_victim.retry_at"},
    ),
    "the daily limit": (setting(MAX_HEISTS_PER_DAY=11), {"rules.max_heists_per_day", "as_attacker.heists_left_today"}),
    "the pair cooldown": (setting(PAIR_COOLDOWN_HOURS=1), {"rules.pair_cooldown_hours"}),
    "the loss limit": (setting(MONTHLY_LOSS_PERCENT=11), {"rules.monthly_loss_percent", "as_victim.loss_left"}),
    "the newcomers": (setting(NEWCOMER_DAYS=3), {"rules.newcomer_days"}),
    "truces": (setting(TRUCE_ENABLED=False), {"rules.truce_enabled", "truce.enabled"}),
    "a wish": (lambda scene: _done(wish(scene, starts_at=APRIL)), {"truce.wanted", "truce.starts_at"}),
    "a truce": (
        lambda scene: _done(wish(scene, starts_at=NOON, ends_at=APRIL)),
        {"truce.in_force", "truce.starts_at", "truce.ends_at", *ATTACKER, *VICTIM},
    ),
    "the shield's price": (setting(SHIELD_COST=51), {"rules.shield_cost", "shield_shop.cost"}),
    "the shield's days": (setting(SHIELD_DAYS=8), {"rules.shield_days", "shield_shop.days"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_a_new_answer(scene: Scene, name: str) -> None:
    change, expected = CHANGES[name]
    first = scene.client.get(ME)
    headers = {"if-none-match": first["ETag"]}
    assert scene.client.get(ME, headers=headers).status_code == 304

    change(scene)
    second = scene.client.get(ME, headers=headers)

    assert (second.status_code, second["ETag"] != first["ETag"]) == (200, True)
    before, after = leaves(first.json()), leaves(second.json())
    assert {path for path in before | after if before.get(path, ...) != after.get(path, ...)} == expected


def test_every_field_is_changed_by_one_of_them(scene: Scene) -> None:
    changed = set().union(*(expected for _change, expected in CHANGES.values()))

    # A newcomer has a test of their own.
    assert set(leaves(scene.client.get(ME).json())) - changed == {"player.id", "as_victim.newcomer_until"}


def test_a_newcomer_is_protected_until_a_moment(signed_in: Any, clock: Clock, heist_settings: HeistSettings) -> None:
    me = player("new", points=1000, tokens=1, date_joined=NOON)
    client = signed_in(me)
    first = client.get(ME)
    heist_settings(NEWCOMER_DAYS=3)

    second = client.get(ME, headers={"if-none-match": first["ETag"]})

    before, after = leaves(first.json()), leaves(second.json())
    assert {path: after[path] for path in after if before[path] != after[path]} == {
        "as_victim.code": "newcomer",
        "as_victim.retry_at": "2026-03-05T12:00:00Z",
        "as_victim.newcomer_until": "2026-03-05T12:00:00Z",
        "rules.newcomer_days": 3,
    }
    clock.now += 71 * HOUR
    assert client.get(ME, headers={"if-none-match": second["ETag"]}).status_code == 304
    clock.now += HOUR
    assert client.get(ME, headers={"if-none-match": second["ETag"]}).json()["as_victim"]["newcomer_until"] is None
    clock.now -= HOUR
    execute_heist(attacker_id=me.pk, victim_id=player(points=1000, date_joined=NOON - 999 * HOUR).pk)
    assert client.get(ME).json()["as_victim"]["code"] is None


def test_the_new_month_is_a_new_answer(scene: Scene) -> None:
    scene.clock.now = dt.datetime(2026, 3, 31, 23, 59, 59, tzinfo=dt.UTC)
    first = scene.client.get(ME)
    scene.clock.now += dt.timedelta(seconds=1)

    second = scene.client.get(ME, headers={"if-none-match": first["ETag"]})

    before, after = leaves(first.json()), leaves(second.json())
    assert {path for path in before if before[path] != after[path]} == {
        "month_ends_at",
        "truce.takes_effect_at",
        "monthly_points",
        "as_victim.code",
        "as_victim.potential_points",
        "as_victim.lost_this_month",
        "as_victim.loss_left",
    }
    assert (after["month_ends_at"], after["monthly_points"]) == ("2026-05-01T00:00:00Z", 0)


def test_the_truce_is_the_one_of_truce(scene: Scene) -> None:
    Truce.objects.create(player=scene.me, starts_at=NOON - 9 * HOUR, ends_at=NOON + 9 * HOUR)
    Truce.objects.create(player=scene.me, starts_at=APRIL)

    assert scene.client.get(ME).json()["truce"] == scene.client.get(f"{URL}truce/").json()
    Truce.objects.filter(starts_at=APRIL).update(ends_at=APRIL)
    assert scene.client.get(ME).json()["truce"] == scene.client.get(f"{URL}truce/").json()


def test_nothing_changes_by_itself(scene: Scene) -> None:
    """Every moment of the answer is named in it: in between, it stays the same."""
    etag = scene.client.get(ME)["ETag"]

    for _ in range(21):
        scene.clock.now += HOUR
        assert scene.client.get(ME, headers={"if-none-match": etag}).status_code == 304
    scene.clock.now += HOUR
    assert scene.client.get(ME, headers={"if-none-match": etag}).status_code == 200


def test_a_shield_that_expires_is_gone_at_its_end(scene: Scene) -> None:
    scene.clock.now = dt.datetime(2026, 3, 9, 13, 59, 59, 999999, tzinfo=dt.UTC)
    assert scene.client.get(ME).json()["as_victim"]["shield"]

    scene.clock.now += dt.timedelta(microseconds=1)

    assert scene.client.get(ME).json()["as_victim"]["shield"] is None


def test_a_stateless_sign_in_reads_its_own_row() -> None:
    me, other = player("renamed", points=7), player("other", points=100)
    client = APIClient()
    client.force_authenticate(SimpleNamespace(pk=str(me.pk), is_authenticated=True, username="old"))  # type: ignore[arg-type]

    body = client.get(ME).json()

    assert (body["player"], body["monthly_points"]) == ({"id": me.pk, "name": "renamed"}, 7)
    me.delete()
    problem(client.get(ME), 401, "authentication_failed")
    problem(APIClient().get(ME), 401, "not_authenticated")
    other.is_active = False
    client.force_authenticate(other)
    problem(client.get(ME), 403, "inactive_account")
