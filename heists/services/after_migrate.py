"""Prepares a database after `migrate` and `flush`: point event types, first id (docs/specification.md, "Data")."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, router, transaction
from django.db.migrations.loader import MigrationLoader

from .. import conf
from ..economy import get_economy
from ..models import AttemptLog, Heist

# The same as in migration 0003, which imports no project code.
EVENT_TYPES = {
    "HEIST_GAIN": "Points gained from successfully robbing another player",
    "HEIST_LOSS": "Points lost from being robbed by another player",
}
INITIAL_MIGRATION = ("heists", "0001_initial")


def seed_event_types(*, using: str = DEFAULT_DB_ALIAS) -> dict[str, bool] | None:
    """Create missing point event types, and return by name which were created.

    An existing row is not changed. Returns None where POINT_EVENT_TYPE_MODEL is not set: the host has no such table.
    """
    if (label := conf.point_event_type_model()) is None:
        return None
    model = apps.get_model(label)
    known = {field.name for field in model._meta.concrete_fields}
    added = {}
    for name, description in EVENT_TYPES.items():
        defaults = {"description": description, "points": 0, "active": True}
        _row, added[name] = model._default_manager.using(using).get_or_create(
            name=name, defaults={key: value for key, value in defaults.items() if key in known}
        )
    return added


def seed_after_flush(*, using: str, plan: Any = None, **kwargs: Any) -> None:
    """Seed the types after a flush, or where the tables are made without migrations; a receiver of post_migrate.

    Does nothing where the database does not have the table, and nothing after a migration, which has a plan: it seeds
    them itself, or is being undone.
    """
    label = conf.point_event_type_model()
    without_migrations = MigrationLoader.migrations_module("heists")[0] is None
    if label is None or (plan is not None and not without_migrations):
        return
    if _has_table(apps.get_model(label), using):
        seed_event_types(using=using)


def skip_used_ids(*, using: str, plan: Any = None, **kwargs: Any) -> None:
    """Start the ids of heists after those in the host's point events; a receiver of post_migrate.

    The host keeps its events when heists is removed. Installed again, a heist must not get the id of an earlier one.
    """
    applied = {(migration.app_label, migration.name) for migration, undone in plan or () if not undone}
    if INITIAL_MIGRATION not in applied or not _has_table(Heist, using):
        return
    try:
        with transaction.atomic(using=using):
            last = max((event.heist_id for event in get_economy().all_point_events() or ()), default=0)
    except (ImproperlyConfigured, ImportError, DatabaseError):
        # The host is not set up yet, so it has no events of heists.
        return
    if last > 0:
        AttemptLog.objects.using(using).create(heist_id=last, deleted=True)
        _restart_ids(last + 1, using)


def empty_attempt_log(*, using: str, plan: Any = None, **kwargs: Any) -> None:
    """Empty the attempt log after a flush, whose DELETEs SQLite logs; a receiver of post_migrate."""
    if plan is None and _has_table(AttemptLog, using):
        AttemptLog.objects.using(using).all().delete()


def _restart_ids(first: int, using: str) -> None:
    """Let the next heist have the id `first`."""
    connection = connections[using]
    table = Heist._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s, FALSE)", [table, first])
        else:
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, first - 1])


def _has_table(model: Any, using: str) -> bool:
    """Return whether this database has the model's table: a site may keep it in another one."""
    return router.allow_migrate_model(using, model) and (
        model._meta.db_table in connections[using].introspection.table_names()
    )
