"""On PostgreSQL a plain SQL DELETE of a user takes their points and coins along, as Django's own does.

In a migration of its own: Django adds the foreign keys at the end of the migration that makes the tables.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

ON_DELETE = [
    ("PlayerProfile", "user", "CASCADE"),
    ("PlayerProfile", "referred_by", "SET NULL"),
    ("PointEvent", "user", "CASCADE"),
    ("CoinEntry", "user", "CASCADE"),
    ("MonthlyStanding", "player", "CASCADE"),
    ("ReferralReward", "referrer", "CASCADE"),
]


def set_on_delete(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for model_name, field_name, action in ON_DELETE:
        _replace_key(apps, schema_editor, model_name, field_name, f"ON DELETE {action}")


def unset_on_delete(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for model_name, field_name, _action in ON_DELETE:
        _replace_key(apps, schema_editor, model_name, field_name, "")


def _replace_key(
    apps: StateApps, schema_editor: BaseDatabaseSchemaEditor, model_name: str, field_name: str, on_delete: str
) -> None:
    connection, quote = schema_editor.connection, schema_editor.quote_name
    if connection.vendor != "postgresql":
        return
    model = apps.get_model("gamification", model_name)
    field = model._meta.get_field(field_name)
    table, referred = model._meta.db_table, field.remote_field.model._meta.db_table
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, table)
    (name,) = (
        name for name, found in constraints.items() if found["foreign_key"] and found["columns"] == [field.column]
    )
    schema_editor.execute(
        f"ALTER TABLE {quote(table)} DROP CONSTRAINT {quote(name)}, ADD CONSTRAINT {quote(name)}"
        f" FOREIGN KEY ({quote(field.column)}) REFERENCES {quote(referred)} ({quote(field.target_field.column)})"
        f" {on_delete} DEFERRABLE INITIALLY DEFERRED"
    )


class Migration(migrations.Migration):
    dependencies = [("gamification", "0002_point_event_types")]

    operations = [migrations.RunPython(set_on_delete, unset_on_delete, elidable=False)]
