"""What Django's fields cannot express: ON DELETE on PostgreSQL, the attacker's token key, and append-only rows.

SQLite drops the triggers of a table that a later migration rebuilds: that migration has to create them again. A column
that a later migration adds to an append-only table belongs in the condition of its trigger.
"""

from typing import Any

from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# (model, field, what a plain SQL DELETE of the referred row does)
ON_DELETE = [
    ("HeistToken", "user", "CASCADE"),
    ("TokenGrant", "player", "CASCADE"),
    ("TokenGrant", "granted_by", "SET NULL"),
    ("Heist", "attacker", "CASCADE"),
    ("Heist", "victim", "CASCADE"),
    ("Reversal", "heist", "CASCADE"),
    ("Reversal", "reversed_by", "SET NULL"),
    ("RuleChange", "changed_by", "SET NULL"),
    ("HeistNotification", "user", "CASCADE"),
    ("HeistNotification", "heist", "SET NULL"),
    ("Shield", "player", "CASCADE"),
    ("Shield", "used_by", "SET NULL"),
    ("Truce", "player", "CASCADE"),
    ("OutboxEmail", "notification", "CASCADE"),
    ("EmailPreference", "player", "CASCADE"),
]
ATTACKER_TOKEN_KEY = "heists_heist_attacker_token_fk"  # noqa: S105 - a constraint, not a secret
# Models of which no column is edited, but those below.
APPEND_ONLY = ["Heist", "TokenGrant", "Reversal", "RuleSet", "RuleChange"]
# Retention removes it.
EDITABLE = {"Heist": "ip_address"}
# The account of who did it: deleting it sets the column to null, and nothing else changes it.
ONLY_TO_NULL = {"TokenGrant": "granted_by_id", "Reversal": "reversed_by_id", "RuleChange": "changed_by_id"}


def set_on_delete(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor, *, undo: bool = False) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    quote = schema_editor.quote_name
    for model_name, field_name, action in ON_DELETE:
        model = apps.get_model("heists", model_name)
        field = model._meta.get_field(field_name)
        table, remote = model._meta.db_table, field.remote_field.model._meta.db_table
        with schema_editor.connection.cursor() as cursor:
            found = schema_editor.connection.introspection.get_constraints(cursor, table)
        for name, constraint in found.items():
            if constraint["foreign_key"] == (remote, field.target_field.column) and constraint["columns"] == [
                field.column
            ]:
                schema_editor.execute(
                    f"ALTER TABLE {quote(table)} DROP CONSTRAINT {quote(name)}, "
                    f"ADD CONSTRAINT {quote(name)} FOREIGN KEY ({quote(field.column)}) "
                    f"REFERENCES {quote(remote)} ({quote(field.target_field.column)}) "
                    f"{'' if undo else f'ON DELETE {action}'} DEFERRABLE INITIALLY DEFERRED"
                )


def unset_on_delete(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    set_on_delete(apps, schema_editor, undo=True)


def add_token_key(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            f"ALTER TABLE heists_heist ADD CONSTRAINT {ATTACKER_TOKEN_KEY} FOREIGN KEY (attacker_id) "
            "REFERENCES heists_heisttoken (user_id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"
        )


def drop_token_key(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"ALTER TABLE heists_heist DROP CONSTRAINT IF EXISTS {ATTACKER_TOKEN_KEY}")


def reject_edits(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION heists_reject_edit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION '% rows are append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$",
            params=None,  # the per cent sign is PL/pgSQL's, not a placeholder
        )
    for name in APPEND_ONLY:
        meta, who = apps.get_model("heists", name)._meta, ONLY_TO_NULL.get(name)
        table, columns = meta.db_table, {field.column for field in meta.concrete_fields} - {who, EDITABLE.get(name)}
        differs = "IS DISTINCT FROM" if vendor == "postgresql" else "IS NOT"
        condition = " OR ".join(f"OLD.{column} {differs} NEW.{column}" for column in sorted(columns))
        if who:
            condition += f" OR (OLD.{who} {differs} NEW.{who} AND NEW.{who} IS NOT NULL)"
        if vendor == "postgresql":
            schema_editor.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({condition}) "
                "EXECUTE FUNCTION heists_reject_edit()"
            )
        elif vendor == "sqlite":
            schema_editor.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table} FOR EACH ROW WHEN {condition} "
                f"BEGIN SELECT RAISE(ABORT, '{table} rows are append-only'); END"
            )


def allow_edits(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    vendor = schema_editor.connection.vendor
    for name in APPEND_ONLY:
        table = apps.get_model("heists", name)._meta.db_table
        if vendor == "postgresql":
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}")
        elif vendor == "sqlite":
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_append_only")
    if vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION IF EXISTS heists_reject_edit()")


def drop_trigger(schema_editor: BaseDatabaseSchemaEditor, name: str) -> None:
    """Drop the trigger `heists_heist_<name>` and, on PostgreSQL, its function `heists_<name>`."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER IF EXISTS heists_heist_{name} ON heists_heist")
        schema_editor.execute(f"DROP FUNCTION IF EXISTS heists_{name}()")
    elif schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(f"DROP TRIGGER IF EXISTS heists_heist_{name}")


# PostgreSQL runs these once a statement and not once a row: a transaction that updates one row thousands of times walks
# through all its versions each time. The rows to update are locked first, in primary-key order, so that two deletions
# wait for each other, and so that the UPDATE reads what an earlier one wrote.
LOCK_TOKENS = (
    "PERFORM FROM heists_heisttoken WHERE user_id IN "
    "(SELECT attacker_id FROM deleted UNION SELECT victim_id FROM deleted) ORDER BY id FOR NO KEY UPDATE;"
)
ONCE_A_STATEMENT = "REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT"
# A flush empties the tables in any order, so the rule sets may be gone before the heists are.
REMEMBER = {
    "postgresql": """
UPDATE heists_heisttoken AS token SET spent_on_deleted = spent_on_deleted + spent.tokens
  FROM (SELECT attacker_id, SUM(COALESCE(token_cost, 0)) AS tokens
          FROM deleted LEFT JOIN heists_ruleset ON heists_ruleset.id = rule_set_id
         WHERE token_spent GROUP BY attacker_id) AS spent
 WHERE token.user_id = spent.attacker_id;
""",
    "sqlite": (
        "UPDATE heists_heisttoken SET spent_on_deleted = spent_on_deleted + COALESCE((SELECT token_cost "
        "FROM heists_ruleset WHERE id = OLD.rule_set_id), 0) WHERE user_id = OLD.attacker_id;"
    ),
}


def remember_spent(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION heists_remember_spent() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {LOCK_TOKENS} {REMEMBER[vendor]} RETURN NULL; END $$"
        )
        schema_editor.execute(
            f"CREATE TRIGGER heists_heist_remember_spent AFTER DELETE ON heists_heist {ONCE_A_STATEMENT} "
            "EXECUTE FUNCTION heists_remember_spent()"
        )
    elif vendor == "sqlite":
        schema_editor.execute(
            "CREATE TRIGGER heists_heist_remember_spent AFTER DELETE ON heists_heist FOR EACH ROW "
            f"WHEN OLD.token_spent BEGIN {REMEMBER[vendor]} END"
        )


def forget_spent(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    drop_trigger(schema_editor, "remember_spent")


# The losses of the last 32 days before the newest one are kept: any month is shorter. The site's month itself can only
# be computed in Python (`rules.month_start`). No row is inserted for the victim, who may be about to be deleted too.
REMEMBER_LOSS = {
    "postgresql": """
UPDATE heists_heisttoken AS token SET losses_on_deleted = kept.losses
  FROM (SELECT user_id, jsonb_agg(loss ORDER BY loss->>'at') AS losses
          FROM (SELECT user_id, loss, max(loss->>'at') OVER (PARTITION BY user_id) AS newest
                  FROM (SELECT user_id, jsonb_build_object(
                               'heist', deleted.id, 'points', points_stolen,
                               'at', to_char(deleted.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                               ) AS loss
                          FROM deleted JOIN heists_heisttoken ON user_id = victim_id WHERE status = 'SUCCESS'
                         UNION ALL
                        SELECT user_id, jsonb_array_elements(losses_on_deleted) FROM heists_heisttoken
                         WHERE user_id IN (SELECT victim_id FROM deleted WHERE status = 'SUCCESS')
                       ) AS losses
               ) AS losses
         WHERE (loss->>'at')::timestamptz > newest::timestamptz - INTERVAL '32 days'
         GROUP BY user_id
       ) AS kept
 WHERE token.user_id = kept.user_id;
""",
    "sqlite": """
UPDATE heists_heisttoken SET losses_on_deleted = (
    SELECT json_group_array(json(loss))
      FROM (SELECT value AS loss, MAX(json_extract(value, '$.at')) OVER () AS newest
              FROM json_each(json_insert(COALESCE(losses_on_deleted, '[]'), '$[#]', json_object(
                   'heist', OLD.id, 'points', OLD.points_stolen, 'at', OLD.created_at))))
     WHERE json_extract(loss, '$.at') > datetime(newest, '-32 days')
) WHERE user_id = OLD.victim_id;
""",
}


def remember_losses(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION heists_remember_loss() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {LOCK_TOKENS} {REMEMBER_LOSS[vendor]} RETURN NULL; END $$",
            params=None,
        )
        schema_editor.execute(
            f"CREATE TRIGGER heists_heist_remember_loss AFTER DELETE ON heists_heist {ONCE_A_STATEMENT} "
            "EXECUTE FUNCTION heists_remember_loss()"
        )
    elif vendor == "sqlite":
        schema_editor.execute(
            "CREATE TRIGGER heists_heist_remember_loss AFTER DELETE ON heists_heist FOR EACH ROW "
            f"WHEN OLD.status = 'SUCCESS' BEGIN {REMEMBER_LOSS[vendor]} END",
            params=None,
        )


def forget_losses(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    drop_trigger(schema_editor, "remember_loss")


# PostgreSQL. At commit, so that the order in which a transaction deletes a player and the heists does not matter.
# The function names the user table: a migration of the host that renames it has to replace the function.
CHECK_DELETE = """
CREATE OR REPLACE FUNCTION heists_check_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM {user} WHERE {key} = OLD.attacker_id)
       AND EXISTS (SELECT FROM {user} WHERE {key} = OLD.victim_id) THEN
        RAISE EXCEPTION 'heist % is append-only while both players exist', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$
"""


def reject_deletes(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    quote = schema_editor.quote_name
    key = apps.get_model("heists", "Heist")._meta.get_field("attacker").target_field
    function = CHECK_DELETE.format(user=quote(key.model._meta.db_table), key=quote(key.column))
    schema_editor.execute(function, params=None)
    schema_editor.execute(
        "CREATE CONSTRAINT TRIGGER heists_heist_deleted_with_player AFTER DELETE ON heists_heist "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION heists_check_delete()"
    )


def allow_deletes(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP TRIGGER IF EXISTS heists_heist_deleted_with_player ON heists_heist")
        schema_editor.execute("DROP FUNCTION IF EXISTS heists_check_delete()")


def log_attempts(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION heists_log_attempt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO heists_attemptlog (heist_id, attacker_id, victim_id, deleted) "
            "VALUES (NEW.id, NEW.attacker_id, NEW.victim_id, FALSE) ON CONFLICT (heist_id) DO UPDATE "
            "SET attacker_id = EXCLUDED.attacker_id, victim_id = EXCLUDED.victim_id, deleted = FALSE; "
            "RETURN NULL; END $$"
        )
        schema_editor.execute(
            "CREATE TRIGGER heists_heist_log_attempt AFTER INSERT ON heists_heist FOR EACH ROW "
            "WHEN (NOT NEW.token_spent) EXECUTE FUNCTION heists_log_attempt()"
        )
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION heists_log_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO heists_attemptlog (heist_id, attacker_id, victim_id, deleted) "
            "SELECT id, attacker_id, victim_id, TRUE FROM deleted ON CONFLICT (heist_id) DO UPDATE "
            "SET deleted = TRUE; RETURN NULL; END $$"
        )
        schema_editor.execute(
            f"CREATE TRIGGER heists_heist_log_delete AFTER DELETE ON heists_heist {ONCE_A_STATEMENT} "
            "EXECUTE FUNCTION heists_log_delete()"
        )
    elif vendor == "sqlite":
        schema_editor.execute(
            "CREATE TRIGGER heists_heist_log_attempt AFTER INSERT ON heists_heist FOR EACH ROW "
            "WHEN NOT NEW.token_spent BEGIN "
            "INSERT OR REPLACE INTO heists_attemptlog (heist_id, attacker_id, victim_id, deleted) "
            "VALUES (NEW.id, NEW.attacker_id, NEW.victim_id, 0); END"
        )
        schema_editor.execute(
            "CREATE TRIGGER heists_heist_log_delete AFTER DELETE ON heists_heist FOR EACH ROW BEGIN "
            "INSERT OR REPLACE INTO heists_attemptlog (heist_id, attacker_id, victim_id, deleted) "
            "VALUES (OLD.id, OLD.attacker_id, OLD.victim_id, 0); END"
        )


def stop_logging(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    drop_trigger(schema_editor, "log_attempt")
    drop_trigger(schema_editor, "log_delete")


def logged_player() -> Any:
    """Return a reference that outlives the player."""
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        db_constraint=False,
        db_index=False,
        null=True,
        on_delete=models.DO_NOTHING,
        related_name="+",
    )


class Migration(migrations.Migration):
    dependencies = [("heists", "0001_initial"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="AttemptLog",
            fields=[
                ("heist_id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("attacker", logged_player()),
                ("victim", logged_player()),
                ("deleted", models.BooleanField(db_default=False, default=False)),
            ],
            options={"verbose_name": "attempt log entry", "verbose_name_plural": "attempt log"},
        ),
        migrations.RunPython(set_on_delete, unset_on_delete, elidable=False),
        migrations.RunPython(add_token_key, drop_token_key, elidable=False),
        migrations.RunPython(reject_edits, allow_edits, elidable=False),
        migrations.RunPython(remember_spent, forget_spent, elidable=False),
        migrations.RunPython(remember_losses, forget_losses, elidable=False),
        migrations.RunPython(reject_deletes, allow_deletes, elidable=False),
        migrations.RunPython(log_attempts, stop_logging, elidable=False),
    ]
