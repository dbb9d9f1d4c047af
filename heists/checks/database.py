"""Checks the database (docs/specification.md, "Guarantees")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import FieldDoesNotExist
from django.db import DatabaseError, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from .. import conf
from ..choices import RuleChangeKind
from ..rules import RULE_FIELDS
from .settings import well_formed

SUPPORTED = ("postgresql", "sqlite")
# How long SQLite waits for another writer, at least; it is also Python's default.
LEAST_TIMEOUT_SECONDS = 5


def check_databases(**kwargs: Any) -> Iterator[CheckMessage]:
    """Check the configuration of the database that heists writes to. Runs no query."""
    from ..models import Heist

    alias = router.db_for_write(Heist)
    connection = connections[alias]
    where = f'DATABASES["{alias}"]'
    if connection.vendor not in SUPPORTED:
        yield Error(
            f"{where} is {connection.display_name}, which heists does not support.",
            hint="Use PostgreSQL, or SQLite for development and small sites.",
            id="heists.E013",
        )
        return
    yield from _sqlite(where, connection) if connection.vendor == "sqlite" else _pool(where, connection)
    if connection.settings_dict.get("ATOMIC_REQUESTS"):
        yield Warning(
            f"{where} has ATOMIC_REQUESTS on; a heist opens a durable transaction of its own, which can't be nested.",
            hint=(
                'Write "ATOMIC_REQUESTS": False, or put @transaction.non_atomic_requests on your own views that '
                "call heists.services. The API and admin of heists already do."
            ),
            id="heists.W003",
        )


def _sqlite(where: str, connection: BaseDatabaseWrapper) -> Iterator[CheckMessage]:
    options = connection.settings_dict.get("OPTIONS", {})
    if str(options.get("transaction_mode")).upper() not in ("IMMEDIATE", "EXCLUSIVE"):
        yield Warning(
            f'{where} has no "transaction_mode"; one of two simultaneous heists fails with "database is locked".',
            hint=f'Write {where}["OPTIONS"] = {{"transaction_mode": "IMMEDIATE"}}.',
            id="heists.W004",
        )
    if "wal" not in str(options.get("init_command", "")).lower() and not _in_memory(connection):
        yield Warning(
            f"{where} is not in WAL mode; each heist blocks all readers.",
            hint=f'Write {where}["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL;".',
            id="heists.W005",
        )
    timeout = options.get("timeout", LEAST_TIMEOUT_SECONDS)
    if not isinstance(timeout, int | float) or timeout < LEAST_TIMEOUT_SECONDS:
        yield Warning(
            f"{where} waits {timeout!r} seconds for another writer; simultaneous heists would fail.",
            hint=f'Write {where}["OPTIONS"]["timeout"] = 20.',
            id="heists.W006",
        )


def _in_memory(connection: BaseDatabaseWrapper) -> bool:
    name = str(connection.settings_dict["NAME"])
    return ":memory:" in name or "mode=memory" in name


def _pool(where: str, connection: BaseDatabaseWrapper) -> Iterator[CheckMessage]:
    pool = connection.settings_dict.get("OPTIONS", {}).get("pool")
    if pool and connection.settings_dict.get("CONN_HEALTH_CHECKS") is not True:
        yield Warning(
            f"{where} has a pool without CONN_HEALTH_CHECKS; a closed connection makes a request fail.",
            hint='Write "CONN_HEALTH_CHECKS": True.',
            id="heists.W007",
        )


def check_event_types(*, databases: Sequence[str] | None = None, **kwargs: Any) -> Iterator[CheckMessage]:
    """Check that the host's table of point event types has the two rows of heists."""
    from ..services.after_migrate import EVENT_TYPES

    label = conf.point_event_type_model() if well_formed("POINT_EVENT_TYPE_MODEL") else None
    if not databases or label is None:
        return
    try:
        model = apps.get_model(label)
        model._meta.get_field("name")
    except (LookupError, ValueError, TypeError, AttributeError, FieldDoesNotExist):
        return  # heists.E007 says so
    alias = router.db_for_write(model)
    if alias not in databases:
        return
    try:
        # Checks run before the first migration as well, where the tables do not exist yet.
        if not {model._meta.db_table, "heists_heist"} <= set(connections[alias].introspection.table_names()):
            return
        names = set(model._default_manager.using(alias).filter(name__in=EVENT_TYPES).values_list("name", flat=True))
    except DatabaseError:
        return
    if missing := [name for name in EVENT_TYPES if name not in names]:
        yield Warning(
            f"{label} has no {' and no '.join(missing)}; a heist would fail when it writes its point events.",
            hint="Run `manage.py seed_heists`.",
            id="heists.W008",
        )


def check_rules(*, databases: Sequence[str] | None = None, **kwargs: Any) -> Iterator[CheckMessage]:
    """Check that the settings have the same rules as the newest change of the rules that has taken effect."""
    from ..models import RuleChange

    alias, keys = router.db_for_write(RuleChange), [name.upper() for name in RULE_FIELDS if name != "time_zone"]
    if alias not in (databases or ()) or not well_formed(*keys):
        return
    try:
        if RuleChange._meta.db_table not in connections[alias].introspection.table_names():
            return
        changes = RuleChange.objects.using(alias).filter(kind=RuleChangeKind.RULES, takes_effect_at__lte=timezone.now())
        newest = changes.select_related("rule_set").order_by("-takes_effect_at").first()
    except DatabaseError:
        return
    if newest is None or newest.rule_set is None:
        return
    changed, settings = newest.rule_set.rules, conf.rules()
    values = {key: getattr(changed, key.lower()) for key in keys}
    if differing := {key: value for key, value in values.items() if value != getattr(settings, key.lower())}:
        yield Warning(
            f"HEISTS and the changes of the rules differ in {', '.join(differing)}; the changes count.",
            hint=f"Write what counts: HEISTS = {differing!r}; or change the rules on their page in the admin.",
            id="heists.W022",
        )
