"""The player's own tokens, and the end of the cooldown."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest
from django.utils import timezone
from django.utils.connection import ConnectionDoesNotExist
from rest_framework.test import APIClient

from heists import conf, in_force
from heists.services import change_rules, execute_heist
from tests.factories import player
from tests.heists.api.answers import URL, problem

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = f"{URL}token/"
NOON = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)


class Clock:
    now = NOON


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    return clock


def change(**values: Any) -> None:
    rules = dataclasses.replace(conf.rules(), **values)
    change_rules(rules=rules, takes_effect_at=NOON + MINUTE, changed_by=None, reason="a try")
    in_force.forget()


def test_the_cooldown_is_over_at_its_end(api: APIClient, clock: Clock) -> None:
    me = player(tokens=1)
    execute_heist(attacker_id=me.pk, victim_id=player(points=1000).pk)
    api.force_authenticate(me)
    microsecond = dt.timedelta(microseconds=1)

    found = {}
    for passed in (24 * HOUR - microsecond, 24 * HOUR, 24 * HOUR + microsecond):
        clock.now = NOON + passed
        found[passed] = api.get(TOKEN).json()["cooldown_ends_at"]

    assert list(found.values()) == ["2026-05-21T12:00:00Z", None, None]


def test_a_grant_begins_no_cooldown(api: APIClient, clock: Clock) -> None:
    api.force_authenticate(player(tokens=1))

    body = api.get(TOKEN).json()

    assert (body["balance"], body["last_spent_at"], body["cooldown_ends_at"]) == (1, None, None)
    assert body["last_earned_at"] == "2026-05-20T12:00:00Z"


@pytest.mark.usefixtures("rule_changes")
def test_the_rules_in_force_decide_about_the_cooldown_and_the_truce(api: APIClient, clock: Clock) -> None:
    me = player(tokens=1)
    execute_heist(attacker_id=me.pk, victim_id=player(points=1000).pk)
    api.force_authenticate(me)
    before = api.get(TOKEN).json()["cooldown_ends_at"], api.get(f"{URL}truce/").json()["enabled"]

    change(cooldown_hours=48, truce_enabled=False)
    clock.now += 2 * MINUTE
    after = api.get(TOKEN).json()["cooldown_ends_at"], api.get(f"{URL}truce/").json()["enabled"]

    assert (before, after) == (("2026-05-21T12:00:00Z", True), ("2026-05-22T12:00:00Z", False))
    problem(api.put(f"{URL}truce/", {"wanted": True}), 409, "truce_disabled")


class NoReplica:
    """A router whose replica does not answer."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "no such database"


@pytest.mark.parametrize("path", ["token/", "", "?role=victim", "notifications/"])
def test_a_list_is_read_from_the_replica_that_the_router_names(api: APIClient, settings: Any, path: str) -> None:
    api.force_authenticate(player(tokens=1))
    assert api.get(URL + path).status_code == 200
    settings.DATABASE_ROUTERS = [NoReplica()]

    with pytest.raises(ConnectionDoesNotExist, match="no such database"):
        api.get(URL + path)
