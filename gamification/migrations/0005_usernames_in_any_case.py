"""User names are unique in any case: by ORM, admin or SQL nobody becomes "Alice" beside "alice"."""

from django.conf import settings
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

INDEX = "gamification_username_any_case"


def create_index(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    user = apps.get_model(settings.AUTH_USER_MODEL)
    quote = schema_editor.quote_name
    column = quote(user._meta.get_field("username").column)
    # Also the index of `iexact`, which compares upper case on PostgreSQL. SQLite knows the case of ASCII letters only.
    key = f"UPPER({column})" if schema_editor.connection.vendor == "postgresql" else f"{column} COLLATE NOCASE"
    schema_editor.execute(f"CREATE UNIQUE INDEX {INDEX} ON {quote(user._meta.db_table)} ({key})")


def drop_index(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    schema_editor.execute(f"DROP INDEX {INDEX}")


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        # On SQLite, a later change of the table would lose the index.
        ("auth", "0012_alter_user_first_name_max_length"),
        ("gamification", "0004_append_only_ledgers"),
    ]

    operations = [migrations.RunPython(create_index, drop_index, elidable=False)]
