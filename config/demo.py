"""Prepares the database of `make run` and prints where to look: `python -m config.demo`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


def main() -> None:
    """Migrate; fill a database that has no users with the demo world; print the addresses and sign-ins."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from gamification.demo.players import MANAGER, PASSWORD, SIGN_IN, STAFF, SUPPORT

    migrate()
    users = get_user_model().objects
    if not users.exists():
        call_command("seed_demo")

    print(f"\n  site   {settings.RUN_URL}/")
    print(f"  docs   {settings.RUN_URL}/api/docs/")
    print(f"  admin  {settings.RUN_URL}/admin/")
    if users.filter(username=SIGN_IN).exists():
        print(
            f"\n  player {SIGN_IN}, staff members {STAFF}, {SUPPORT} and {MANAGER}; the password of each is {PASSWORD}"
        )
    if not os.environ.get("EMAIL_URL"):
        print(f"\n  emails become files in {settings.VAR_DIR / 'mail'}, sent by")
        print(f"    DEBUG=true HEIST_SITE_URL={settings.RUN_URL} .venv/bin/python manage.py send_heist_emails")
        if os.environ.get("DATABASE_URL"):
            print("    with the same DATABASE_URL as here")
    print(flush=True)


def migrate() -> None:
    """Apply the migrations. Exits where the tables come from initial migrations that have been rewritten since."""
    from django.conf import settings
    from django.core.management import call_command
    from django.db import DatabaseError, connection
    from django.db.migrations.exceptions import InconsistentMigrationHistory

    connection.ensure_connection()
    try:
        call_command("migrate", verbosity=0)
        reason = next(differences(connection), None)
    except (DatabaseError, InconsistentMigrationHistory) as error:
        reason = str(error).splitlines()[0]
    if reason:
        name = str(connection.settings_dict["NAME"])
        remedy = "name another database with DATABASE_URL"
        if Path(name).is_relative_to(settings.VAR_DIR):
            remedy = f"delete {settings.VAR_DIR}, or {remedy}"
        sys.exit(f"The database {name} was made by another version of the site ({reason}): {remedy}.")


def differences(connection: BaseDatabaseWrapper) -> Iterator[str]:
    """Yield what the tables of the installed models lack or have too much."""
    from django.apps import apps

    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for model in apps.get_models():
            table = model._meta.db_table
            if not model._meta.managed or model._meta.proxy:
                continue
            if table not in tables:
                yield f"there is no table {table}"
                continue
            expected = {str(field.column) for field in model._meta.local_concrete_fields}
            found = {column.name for column in connection.introspection.get_table_description(cursor, table)}
            for column in sorted(expected ^ found):
                yield f"table {table} {'lacks' if column in expected else 'still has'} the column {column}"


if __name__ == "__main__":
    main()
