"""The database rejects each UPDATE of a point event, coin entry, monthly standing or referral reward, from any writer.

A later migration that rebuilds one of these tables on SQLite has to create its trigger again.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

LEDGERS = {
    "gamification_pointevent": ["id", "user_id", "type", "points", "month", "reference", "created_at"],
    "gamification_coinentry": ["id", "user_id", "amount", "reason", "reference", "created_at"],
    "gamification_monthlystanding": ["id", "player_id", "month", "points"],
    "gamification_referralreward": ["id", "referrer_id", "month", "reference", "created_at"],
}


def reject_edits(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION gamification_reject_edit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION '% rows are append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$",
            params=None,  # the per cent sign is PL/pgSQL's, not a placeholder
        )
    for table, columns in LEDGERS.items():
        # An UPDATE that changes nothing passes: loading the same fixture again is one.
        differs = "IS DISTINCT FROM" if vendor == "postgresql" else "IS NOT"
        condition = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in columns)
        if vendor == "postgresql":
            schema_editor.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({condition}) "
                "EXECUTE FUNCTION gamification_reject_edit()"
            )
        elif vendor == "sqlite":
            schema_editor.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} FOR EACH ROW WHEN {condition} "
                f"BEGIN SELECT RAISE(ABORT, '{table} rows are append-only'); END"
            )


def allow_edits(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    vendor = schema_editor.connection.vendor
    for table in LEDGERS:
        if vendor == "postgresql":
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}")
        elif vendor == "sqlite":
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_append_only")
    if vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION IF EXISTS gamification_reject_edit()")


class Migration(migrations.Migration):
    dependencies = [("gamification", "0003_delete_with_user")]

    operations = [migrations.RunPython(reject_edits, allow_edits, elidable=False)]
