"""The rows that heists seeds for the host, and the ids that it skips, each case without a migration."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, router

from gamification.economy import GamificationEconomy
from gamification.models import PointEventTypeMaster
from heists.models import AttemptLog, Heist
from heists.services import after_migrate, execute_heist
from tests.factories import player

from .elsewhere import only

pytestmark = pytest.mark.django_db

TYPES = {
    "HEIST_GAIN": "Points gained from successfully robbing another player",
    "HEIST_LOSS": "Points lost from being robbed by another player",
}


def seeded() -> dict[str, Any]:
    rows = PointEventTypeMaster.objects.filter(name__startswith="HEIST")
    return {row.name: (row.description, row.points, row.active) for row in rows}


def step(app: str, name: str, *, undone: bool = False) -> tuple[Any, bool]:
    """Return a step of a plan of `migrate`: the migration, and whether it is being undone."""
    return SimpleNamespace(app_label=app, name=name), undone


INSTALL = [step("auth", "0001_initial"), step("heists", "0001_initial"), step("heists", "0002_database_law")]


def test_missing_types_are_created_and_existing_ones_stay_as_they_are() -> None:
    PointEventTypeMaster.objects.filter(name="HEIST_GAIN").delete()
    PointEventTypeMaster.objects.filter(name="HEIST_LOSS").update(description="ours", points=3, active=False)

    assert after_migrate.seed_event_types() == {"HEIST_GAIN": True, "HEIST_LOSS": False}

    assert seeded() == {"HEIST_GAIN": (TYPES["HEIST_GAIN"], 0, True), "HEIST_LOSS": ("ours", 3, False)}
    PointEventTypeMaster.objects.filter(name="HEIST_LOSS").delete()
    assert after_migrate.seed_event_types() == {"HEIST_GAIN": False, "HEIST_LOSS": True}
    assert seeded()["HEIST_LOSS"] == (TYPES["HEIST_LOSS"], 0, True)


def test_a_host_without_a_table_of_types_gets_none(settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "POINT_EVENT_TYPE_MODEL": None}
    PointEventTypeMaster.objects.all().delete()

    assert after_migrate.seed_event_types() is None
    after_migrate.seed_after_flush(using="default")

    assert seeded() == {}


def test_only_columns_that_the_hosts_table_has_are_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    model = mock.MagicMock()
    model._meta.concrete_fields = [SimpleNamespace(name=name) for name in ("id", "name", "points", "active")]
    create = model._default_manager.using("default").get_or_create
    create.return_value = (object(), True)
    monkeypatch.setattr("django.apps.apps.get_model", lambda label: model)

    after_migrate.seed_event_types(using="default")

    assert create.call_args_list == [mock.call(name=name, defaults={"points": 0, "active": True}) for name in TYPES]
    assert model._default_manager.using.call_args_list[1:] == [mock.call("default")] * 2


@pytest.mark.parametrize(
    ("plan", "without_migrations", "seeds"),
    [(None, False, True), ([], False, False), (INSTALL, False, False), (INSTALL, True, True), (None, True, True)],
)
def test_a_flush_seeds_and_a_migration_does_not(
    settings: Any, plan: Any, without_migrations: bool, seeds: bool
) -> None:
    PointEventTypeMaster.objects.all().delete()
    if without_migrations:
        settings.MIGRATION_MODULES = {"heists": None}

    after_migrate.seed_after_flush(using="default", plan=plan)

    assert set(seeded()) == (set(TYPES) if seeds else set())


@pytest.mark.parametrize("missing", ["table", "permission"])
def test_a_database_without_the_table_is_left_alone(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    PointEventTypeMaster.objects.all().delete()
    monkeypatch.setattr(GamificationEconomy, "all_point_events", lambda self: [SimpleNamespace(heist_id=41)])
    if missing == "table":
        monkeypatch.setattr(connection.introspection, "table_names", lambda: ["other"])
    else:
        monkeypatch.setattr(router, "allow_migrate_model", lambda db, model: False)

    after_migrate.seed_after_flush(using="default")
    after_migrate.skip_used_ids(using="default", plan=INSTALL)

    assert (seeded(), AttemptLog.objects.count()) == ({}, 0)


@pytest.mark.parametrize(("plan", "left"), [(None, 0), ([], 2), (INSTALL, 2)])
def test_a_flush_empties_the_log_and_a_migration_does_not(plan: Any, left: int) -> None:
    for number in (7, 8):
        AttemptLog.objects.create(heist_id=number, deleted=True)

    after_migrate.empty_attempt_log(using="default", plan=plan)

    assert AttemptLog.objects.count() == left


@pytest.mark.parametrize("missing", ["table", "permission"])
def test_the_log_of_a_database_without_the_table_is_left_alone(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    AttemptLog.objects.create(heist_id=7, deleted=True)
    if missing == "table":
        monkeypatch.setattr(connection.introspection, "table_names", lambda: ["other"])
    else:
        monkeypatch.setattr(router, "allow_migrate_model", lambda db, model: False)

    after_migrate.empty_attempt_log(using="default")

    assert AttemptLog.objects.count() == 1


def skipped(monkeypatch: pytest.MonkeyPatch, plan: Any, events: Any) -> list[Any]:
    """Run the receiver; return the log that it leaves."""
    monkeypatch.setattr(GamificationEconomy, "all_point_events", events)
    after_migrate.skip_used_ids(using="default", plan=plan)
    return list(AttemptLog.objects.values_list("heist_id", "deleted"))


def events_of(*ids: int) -> Any:
    return lambda self: [SimpleNamespace(heist_id=number) for number in ids]


@pytest.mark.parametrize("earlier", [True, False])
def test_the_ids_begin_after_the_largest_of_the_events(monkeypatch: pytest.MonkeyPatch, earlier: bool) -> None:
    if earlier:
        # Its id is remembered in SQLite's table of sequences.
        execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)
    assert skipped(monkeypatch, INSTALL, events_of(7, 410_000, 9)) == [(410_000, True)]

    alice, bob = player(), player()
    for number in (410_001, 410_002):
        assert execute_heist(attacker_id=alice.pk, victim_id=bob.pk).pk == number


@pytest.mark.parametrize("events", [events_of(), events_of(0), lambda self: None])
def test_without_events_the_ids_stay(monkeypatch: pytest.MonkeyPatch, events: Any) -> None:
    assert skipped(monkeypatch, INSTALL, events) == []


@pytest.mark.parametrize("first", [1, 2])
def test_an_event_of_the_first_heist_counts(monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    assert skipped(monkeypatch, INSTALL, events_of(first)) == [(first, True)]


@pytest.mark.parametrize(
    "plan",
    [
        None,
        [],
        [step("heists", "0002_database_law")],
        [step("club", "0001_initial")],
        [step("heists", "0001_initial", undone=True)],
    ],
)
def test_ids_are_skipped_only_where_the_table_is_made(monkeypatch: pytest.MonkeyPatch, plan: Any) -> None:
    assert skipped(monkeypatch, plan, events_of(41)) == []


@pytest.mark.parametrize("error", [ImproperlyConfigured, ImportError, DatabaseError])
def test_a_host_that_is_not_set_up_has_no_events(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    assert skipped(monkeypatch, INSTALL, mock.Mock(side_effect=error)) == []


def test_a_mistake_of_the_host_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        skipped(monkeypatch, INSTALL, mock.Mock(side_effect=ZeroDivisionError))


def test_the_log_is_written_to_the_database_that_was_migrated(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(GamificationEconomy, "all_point_events", events_of(41))
    only(Heist, settings, monkeypatch)

    after_migrate.skip_used_ids(using="default", plan=INSTALL)

    assert AttemptLog.objects.using("default").count() == 1
    after_migrate.empty_attempt_log(using="default")
    assert AttemptLog.objects.using("default").count() == 0
