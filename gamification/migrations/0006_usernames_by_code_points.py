from django.conf import settings
from django.db import migrations

INDEX = "gamification_username_code_points"


def create(apps, schema_editor):
    """Make the index by which `targets/?search=` walks the names that begin alike (GamificationEconomy).

    PostgreSQL uses the index of the unique user name for this only in a database whose collation is "C". On SQLite it
    serves as it is.
    """
    if schema_editor.connection.vendor == "postgresql":
        user, quote = apps.get_model(settings.AUTH_USER_MODEL), schema_editor.quote_name
        name, key = quote(user._meta.get_field("username").column), quote(user._meta.pk.column)
        schema_editor.execute(f'CREATE INDEX {INDEX} ON {quote(user._meta.db_table)} ({name} COLLATE "C", {key})')


def drop(apps, schema_editor):
    """Drop the index again."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX {INDEX}")


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("gamification", "0005_usernames_in_any_case"),
    ]

    operations = [migrations.RunPython(create, drop)]
