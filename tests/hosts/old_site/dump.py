"""Write the host's own tables, their schema and their rows, as JSON."""

import json
import sys

import django

django.setup()

from django.db import connection  # noqa: E402

# Django's own tables, which list heists while it is installed.
DJANGO_TABLES = {"django_migrations", "django_content_type", "auth_permission", "django_session", "sqlite_sequence"}
SCHEMA = {
    "sqlite": [
        "SELECT type, name, tbl_name, sql FROM sqlite_master "
        "WHERE tbl_name NOT LIKE 'heists%' AND name NOT LIKE 'heists%'",
    ],
    "postgresql": [
        "SELECT table_name, column_name, data_type, is_nullable, column_default, character_maximum_length "
        "FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'heists%'",
        "SELECT tablename, indexname, indexdef FROM pg_indexes "
        "WHERE schemaname = 'public' AND tablename NOT LIKE 'heists%'",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE 'heists%'",
        "SELECT tgrelid::regclass::text, tgname FROM pg_trigger "
        "WHERE NOT tgisinternal AND tgrelid::regclass::text NOT LIKE 'heists%'",
        "SELECT proname, prosrc FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace AND proname NOT LIKE 'heists%'",
    ],
}

with connection.cursor() as cursor:
    schema = []
    for query in SCHEMA[connection.vendor]:
        cursor.execute(query)
        schema += sorted([[str(value) for value in row] for row in cursor.fetchall()])
    rows = {}
    for table in sorted(connection.introspection.table_names(cursor)):
        if table not in DJANGO_TABLES and not table.startswith("heists"):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} ORDER BY 1")
            rows[table] = [[str(value) for value in row] for row in cursor.fetchall()]

json.dump({"schema": schema, "rows": rows}, sys.stdout)
