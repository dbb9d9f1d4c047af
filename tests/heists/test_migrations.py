"""The migrations of heists: forwards, backwards, and forwards again, on an empty and on a populated host."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from gamification.models import PlayerProfile, PointEvent, PointEventTypeMaster
from heists.models import Heist
from heists.services import execute_heist
from tests.factories import player, points_of

event_types = import_module("heists.migrations.0003_point_event_types")

# What a data migration uses of its editor.
EDITOR: Any = SimpleNamespace(connection=connection)
ADDED = {"HEIST_GAIN", "HEIST_LOSS"}


def types() -> dict[str, bool]:
    return dict(PointEventTypeMaster.objects.values_list("name", "active"))


def tables() -> set[str]:
    return {name for name in connection.introspection.table_names() if name.startswith("heists_")}


@pytest.fixture
def forwards_again() -> Iterator[None]:
    yield
    call_command("migrate", "heists", verbosity=0)


@pytest.mark.django_db
def test_the_two_event_types_are_seeded_beside_the_hosts_own() -> None:
    assert set(types()) >= ADDED
    assert len(types()) == 9


@pytest.mark.django_db
def test_the_models_and_the_migrations_agree() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db
class TestEventTypes:
    def forwards(self) -> None:
        event_types.add_event_types(apps, EDITOR)

    def backwards(self) -> None:
        event_types.remove_event_types(apps, EDITOR)

    def test_running_twice_changes_nothing(self) -> None:
        before = list(PointEventTypeMaster.objects.order_by("pk").values())

        self.forwards()

        assert list(PointEventTypeMaster.objects.order_by("pk").values()) == before

    def test_a_row_the_host_wrote_itself_is_kept_there_and_back(self) -> None:
        PointEventTypeMaster.objects.filter(name="HEIST_GAIN").update(description="our own", points=3, active=False)

        self.forwards()
        self.backwards()

        row = PointEventTypeMaster.objects.get(name="HEIST_GAIN")
        assert (row.description, row.points, row.active) == ("our own", 3, False)
        assert "HEIST_LOSS" not in types()

    def test_a_row_that_events_refer_to_is_deactivated_and_comes_back(self) -> None:
        PointEvent.objects.create(user=player(), type_id="HEIST_GAIN", points=5)

        self.backwards()
        assert types()["HEIST_GAIN"] is False
        assert "HEIST_LOSS" not in types()
        assert PointEvent.objects.count() == 1

        self.forwards()
        assert types()["HEIST_GAIN"] is types()["HEIST_LOSS"] is True


@pytest.mark.django_db(transaction=True)
def test_down_to_zero_and_up_again_leaves_a_populated_host_untouched(forwards_again: None) -> None:
    alice, bob = player("alice", points=10, tokens=1), player("bob", points=1000)
    execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    before = host_rows()

    call_command("migrate", "heists", "zero", verbosity=0)
    assert tables() == set()
    assert triggers_and_functions() == set()
    after = host_rows()
    assert after["types"].pop("HEIST_GAIN") is after["types"].pop("HEIST_LOSS") is False
    assert after == {**before, "types": {name: on for name, on in before["types"].items() if name not in ADDED}}

    call_command("migrate", "heists", verbosity=0)
    assert host_rows() == before
    assert not Heist.objects.exists()
    assert points_of(bob) == 950


def triggers_and_functions() -> set[str]:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'heists%%' UNION SELECT proname FROM pg_proc"
                " WHERE proname LIKE 'heists%%'"
            )
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'heists%%'")
        return {name for (name,) in cursor.fetchall()}


def host_rows() -> dict[str, Any]:
    return {
        "profiles": list(PlayerProfile.objects.order_by("pk").values()),
        "events": list(PointEvent.objects.order_by("pk").values()),
        "types": types(),
    }


def test_the_migrations_import_no_project_code() -> None:
    for name in ("0001_initial", "0002_database_law", "0003_point_event_types"):
        with open(import_module(f"heists.migrations.{name}").__file__ or "", encoding="utf-8") as source:
            assert "import heists" not in (text := source.read())
            assert "from heists" not in text
