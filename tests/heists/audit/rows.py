"""Rows for the audit, written past the constraints: any row that an owner of the database could write."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Any

from django.contrib.auth.models import User
from django.db import connection

from heists import audit
from heists.models import Heist, HeistNotification, HeistToken, Reversal, RuleSet, Shield, TokenGrant, Truce
from heists.rules import Rules

TABLES: tuple[str, ...] = (
    "heists_heist",
    "heists_heisttoken",
    "heists_tokengrant",
    "heists_heistnotification",
    "heists_shield",
    "heists_reversal",
)
TABLES += ("heists_outboxemail", "heists_ruleset", "heists_rulechange", "heists_truce")
SECOND, MICRO = dt.timedelta(seconds=1), dt.timedelta(microseconds=1)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)


def unlock() -> None:
    """Drop constraints and triggers, until the test's transaction is rolled back."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA ignore_check_constraints = ON")
            cursor.execute(
                "SELECT type, name FROM sqlite_master WHERE"
                " (type = 'trigger' OR type = 'index' AND sql LIKE 'CREATE UNIQUE%')"
            )
            for kind, name in cursor.fetchall():
                cursor.execute(f'DROP {kind} "{name}"')
            return
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        # Turns foreign keys and triggers off.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint"
            " WHERE contype IN ('c', 'u') AND conrelid::regclass::text = ANY(%s)",
            [list(TABLES)],
        )
        for table, name in cursor.fetchall():
            cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}" CASCADE')
        cursor.execute(
            "SELECT indexrelid::regclass::text FROM pg_index"
            " WHERE indisunique AND NOT indisprimary AND indrelid::regclass::text = ANY(%s)",
            [list(TABLES)],
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"DROP INDEX {name}")


def found(code: str) -> list[str]:
    """Return what this check reports, as the command prints it, sorted."""
    (check,) = [check for check in audit.CHECKS if check.code == code]
    with audit.open_snapshot("default") as data:
        return sorted(str(difference).removeprefix(f"{code}: ") for difference in check.differences(data))


def user(name: str) -> User:
    return User.objects.create(username=name)


def rule_set(**values: Any) -> RuleSet:
    return RuleSet.objects.get_or_create(**(asdict(Rules()) | values))[0]


def heist(
    attacker: User, victim: User, rules: RuleSet, at: dt.datetime = NOW, *, points: int | None = None, **fields: Any
) -> Heist:
    """Write a heist: a success of 50 of 1,000 points, or what `fields` make of it."""
    status = fields.setdefault("status", "SUCCESS")
    points = (50 if status == "SUCCESS" else 0) if points is None else points
    had, attacker_had = fields.setdefault("victim_points_before", 1000), fields.setdefault("attacker_points_before", 0)
    values = {
        "attacker": attacker,
        "victim": victim,
        "rule_set": rules,
        "created_at": at,
        "points_stolen": points,
        "victim_points_after": had - points,
        "attacker_points_after": attacker_had + points,
        "token_spent": status in ("SUCCESS", "FAILED_SHIELD"),
    }
    return Heist.objects.create(**(values | fields))


def blocked(attacker: User, victim: User, rules: RuleSet, at: dt.datetime = NOW) -> Heist:
    return heist(attacker, victim, rules, at, status="FAILED_SHIELD", failure_code="shield")


def rejected(attacker: User, victim: User, rules: RuleSet, at: dt.datetime = NOW, **fields: Any) -> Heist:
    return heist(attacker, victim, rules, at, **({"status": "FAILED_COOLDOWN", "failure_code": "cooldown"} | fields))


def tokens(owner: User, **fields: Any) -> HeistToken:
    return HeistToken.objects.create(user=owner, **fields)


def grant(owner: User, amount: int = 1, at: dt.datetime = NOW, **fields: Any) -> TokenGrant:
    values = {"reason": "STAFF", "source": f"test:{TokenGrant.objects.count()}"} | fields
    return TokenGrant.objects.create(player=owner, amount=amount, created_at=at, **values)


def reversal(of: Heist, at: dt.datetime | None = None, *, points: int = 50, had: int = 50, **fields: Any) -> Reversal:
    """Write a reversal: all the 50 points of a success, or what `fields` make of it."""
    values = {
        "heist": of,
        "created_at": at or of.created_at + HOUR,
        "points_returned": points,
        "attacker_points_before": had,
        "attacker_points_after": had - points,
        "victim_points_before": 950,
        "victim_points_after": 950 + points,
        "reason": "a bug",
    }
    return Reversal.objects.create(**(values | fields))


def shield(owner: User, at: dt.datetime = NOW, days: int = 7, **fields: Any) -> Shield:
    return Shield.objects.create(player=owner, bought_at=at, **({"cost": 50, "expires_at": at + days * DAY} | fields))


def truce(owner: User, starts_at: dt.datetime, ends_at: dt.datetime | None = None) -> Truce:
    return Truce.objects.create(player=owner, starts_at=starts_at, ends_at=ends_at, created_at=NOW)


def notification(owner: User, type: str, about: Heist | None = None, **fields: Any) -> HeistNotification:
    return HeistNotification.objects.create(
        user=owner, type=type, heist=about, message="-", **({"created_at": NOW} | fields)
    )
