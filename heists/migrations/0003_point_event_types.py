"""HEIST_GAIN and HEIST_LOSS in the host's table of point event types, where the settings name one."""

from typing import Any

from django.apps import apps as installed
from django.conf import settings
from django.db import connections, migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

EVENT_TYPES = {
    "HEIST_GAIN": "Points gained from successfully robbing another player",
    "HEIST_LOSS": "Points lost from being robbed by another player",
}
LABEL = getattr(settings, "HEISTS", {}).get("POINT_EVENT_TYPE_MODEL")


def event_type_model(apps: StateApps) -> Any:
    """The host's model as the migration sees it, or None where a later migration of the host makes the table."""
    try:
        return apps.get_model(LABEL) if LABEL else None
    except LookupError:
        return None


def add_event_types(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if (model := event_type_model(apps)) is None:
        return
    event_types = model._default_manager.using(schema_editor.connection.alias)
    known = {field.name for field in model._meta.concrete_fields}
    for name, description in EVENT_TYPES.items():
        defaults = {"description": description, "points": 0, "active": True}
        row, created = event_types.get_or_create(
            name=name, defaults={key: value for key, value in defaults.items() if key in known}
        )
        # Ours, and switched off by an earlier removal; a row that the host wrote itself stays as it is.
        if not created and {"active", "description"} <= known and row.description == description:
            event_types.filter(pk=row.pk, active=False).update(active=True)


def remove_event_types(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if (model := event_type_model(apps)) is None:
        return
    alias = schema_editor.connection.alias
    event_types = model._default_manager.using(alias)
    known = {field.name for field in model._meta.concrete_fields}
    for row in event_types.filter(name__in=EVENT_TYPES):
        if getattr(row, "description", None) != EVENT_TYPES[row.name]:
            continue
        rows = event_types.filter(pk=row.pk)
        if not is_referred_to(row, alias):
            rows._raw_delete(alias)
        elif "active" in known:
            rows.update(active=False)


def is_referred_to(row: Any, alias: str) -> bool:
    # The historical state may be older than the host's later tables, so the installed models are asked.
    model = installed.get_model(LABEL)
    existing = set(connections[alias].introspection.table_names())
    for relation in model._meta.related_objects:
        table = relation.related_model._meta.db_table
        if table not in existing or not hasattr(relation.field, "target_field"):
            continue
        value = getattr(row, relation.field.target_field.attname)
        if relation.related_model._base_manager.using(alias).filter(**{relation.field.attname: value}).exists():
            return True
    return False


class Migration(migrations.Migration):
    dependencies = [("heists", "0002_database_law")]
    if LABEL:
        dependencies.append(migrations.swappable_dependency(LABEL))

    operations = [migrations.RunPython(add_event_types, remove_event_types, elidable=False)]
