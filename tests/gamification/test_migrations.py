"""The migrations of the example host, forwards and backwards."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from gamification.event_types import seed_after_flush
from gamification.models import PointEventTypeMaster

seeding = import_module("gamification.migrations.0002_point_event_types")


@pytest.mark.django_db
def test_the_seven_original_types_are_seeded_once(django_assert_num_queries: Any) -> None:
    PointEventTypeMaster.objects.filter(name="CHECKIN").update(points=99)

    with connection.schema_editor() if connection.vendor == "postgresql" else _editor() as editor:
        seeding.add_event_types(apps, editor)

    assert {name for name, *_rest in seeding.EVENT_TYPES} <= set(
        PointEventTypeMaster.objects.values_list("name", flat=True)
    )
    assert len(seeding.EVENT_TYPES) == 7
    assert PointEventTypeMaster.objects.get(name="CHECKIN").points == 99


class _editor:
    """What the seeding uses of a schema editor; SQLite's own one raises inside a test's transaction."""

    connection = connection

    def __enter__(self) -> _editor:
        return self

    def __exit__(self, *exc: object) -> None:
        return None


@pytest.mark.django_db(transaction=True)
def test_the_migrations_go_down_and_up_again() -> None:
    call_command("migrate", "heists", "zero", verbosity=0)
    call_command("migrate", "gamification", "zero", verbosity=0)
    assert "gamification_pointevent" not in connection.introspection.table_names()

    call_command("migrate", verbosity=0)

    assert PointEventTypeMaster.objects.count() >= 7


@pytest.mark.django_db(transaction=True)
def test_the_types_are_there_again_after_a_flush() -> None:
    call_command("flush", interactive=False, verbosity=0)

    assert PointEventTypeMaster.objects.count() >= 7


@pytest.mark.django_db
def test_what_staff_set_is_kept_where_types_are_seeded_again() -> None:
    PointEventTypeMaster.objects.filter(name="CHECKIN").update(points=99, active=False)
    PointEventTypeMaster.objects.filter(name="SIGNUP").delete()

    seed_after_flush(using="default")

    checkin = PointEventTypeMaster.objects.get(name="CHECKIN")
    assert (checkin.points, checkin.active) == (99, False)
    assert PointEventTypeMaster.objects.get(name="SIGNUP").points == 100


class Elsewhere:
    def allow_migrate(self, *args: Any, **hints: Any) -> bool:
        return False


@pytest.mark.django_db
def test_migrations_and_other_databases_are_not_seeded(settings: Any) -> None:
    PointEventTypeMaster.objects.all().delete()

    seed_after_flush(using="default", plan=[])
    settings.DATABASE_ROUTERS = [Elsewhere()]
    seed_after_flush(using="default")
    assert not PointEventTypeMaster.objects.exists()

    # Without migrations, nothing else seeds them.
    settings.DATABASE_ROUTERS, settings.MIGRATION_MODULES = [], {"gamification": None}
    seed_after_flush(using="default", plan=[])
    assert PointEventTypeMaster.objects.count() == 7
