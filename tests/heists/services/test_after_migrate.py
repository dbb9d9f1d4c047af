"""What happens after `migrate` and `flush`: installed again, on a second database, and without migrations."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections

from gamification import event_types as host_event_types
from gamification.demo.build import MIN_HEISTS, MIN_PLAYERS, seed_demo
from gamification.models import PointEvent, PointEventTypeMaster
from heists.models import AttemptLog, Heist
from heists.services import after_migrate, execute_heist
from tests.factories import player


class NothingElsewhere:
    """A router of a site that keeps all tables in its default database."""

    def allow_migrate(self, db: str, *args: Any, **hints: Any) -> bool:
        return db == "default"


@pytest.fixture
def other(django_db_blocker: Any) -> Iterator[str]:
    """A second, empty database; the test does not use the first."""
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    connections.settings["other"] = connections.configure_settings({"default": database})["default"]
    with django_db_blocker.unblock():
        yield "other"
        connections["other"].close()
    del connections["other"]
    del connections.settings["other"]


def names() -> set[str]:
    return set(PointEventTypeMaster.objects.values_list("name", flat=True))


def test_a_flush_of_a_database_without_our_tables_passes(other: str, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [NothingElsewhere()]

    call_command("flush", database=other, interactive=False, verbosity=0)

    assert connections[other].introspection.table_names() == []


def test_a_database_whose_tables_are_missing_is_left_alone(other: str) -> None:
    after_migrate.seed_after_flush(using=other)
    after_migrate.skip_used_ids(using=other, plan=[])
    host_event_types.seed_after_flush(using=other)

    assert connections[other].introspection.table_names() == []


@pytest.mark.django_db
def test_without_migrations_the_types_are_seeded(settings: Any) -> None:
    PointEventTypeMaster.objects.all().delete()
    settings.MIGRATION_MODULES = {"heists": None, "gamification": None}

    for receiver in (host_event_types.seed_after_flush, after_migrate.seed_after_flush):
        receiver(using="default", plan=[])

    assert {"HEIST_GAIN", "HEIST_LOSS", "SIGNUP"} <= names()


@pytest.mark.django_db
def test_with_migrations_a_run_of_migrate_seeds_nothing() -> None:
    PointEventTypeMaster.objects.all().delete()

    for receiver in (host_event_types.seed_after_flush, after_migrate.seed_after_flush):
        receiver(using="default", plan=[])

    assert names() == set()


@pytest.fixture
def migrated_again() -> Iterator[None]:
    yield
    call_command("migrate", "heists", verbosity=0)


def audit() -> str:
    out = StringIO()
    call_command("audit_heists", stdout=out)
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("demo", [False, True])
def test_installed_again_a_heist_never_gets_an_id_of_an_earlier_one(migrated_again: None, demo: bool) -> None:
    ann, ben, cleo = player("ann", tokens=1), player("ben", points=1000), player("cleo", points=500)
    old = execute_heist(attacker_id=ann.pk, victim_id=ben.pk)
    PointEvent.objects.create(user=cleo, type_id="CHECKIN", points=0, reference="heist:999")

    call_command("migrate", "heists", "zero", verbosity=0)
    call_command("migrate", "heists", verbosity=0)

    row: Any = AttemptLog.objects.values_list("heist_id", "attacker", "deleted").get()
    assert row == (old.pk, None, True)
    assert "0 heists" in audit()
    if demo:
        seed_demo(players=MIN_PLAYERS, heists=MIN_HEISTS, force=True)
    new = execute_heist(attacker_id=ben.pk, victim_id=cleo.pk)
    assert Heist.objects.order_by("pk").values_list("pk", flat=True)[0] == old.pk + 1
    assert new.pk == old.pk + Heist.objects.count()
    assert "no difference" in audit()


@pytest.mark.django_db(transaction=True)
def test_a_new_site_begins_at_one(migrated_again: None) -> None:
    call_command("migrate", "heists", "zero", verbosity=0)
    call_command("migrate", "heists", verbosity=0)

    rejection = execute_heist(attacker_id=player("alice").pk, victim_id=player("bob").pk)

    assert rejection.pk == 1
    assert AttemptLog.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM heists_attemptlog WHERE attacker_id IS NULL")
        assert cursor.fetchone() == (0,)
