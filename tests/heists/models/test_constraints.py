"""The constraints of `heists/models/` reject plain SQL, on both databases."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.apps import apps
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import CASCADE, PROTECT, SET_NULL
from django.utils import timezone

from heists.choices import GrantReason, HeistStatus
from heists.models import (
    AppendOnlyError,
    Heist,
    HeistNotification,
    HeistToken,
    RuleChange,
    RuleSet,
    Shield,
    TokenGrant,
    Truce,
)
from heists.services import execute_heist, grant_tokens
from tests.factories import player, without_triggers

pytestmark = pytest.mark.django_db


def rejection_without_triggers(sql: str, *params: Any) -> str:
    """Run the statement without triggers, and return the constraint's name, or the database's message."""
    with without_triggers():
        return rejected_by(sql, *params)


def rejected_by(sql: str, *params: Any) -> str:
    """Run the statement, and return the name of the constraint that rejects it, or the database's message."""
    with pytest.raises(IntegrityError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, params)
        connection.check_constraints()
    diagnosis = getattr(caught.value.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or str(caught.value)


@pytest.fixture
def success() -> Heist:
    return execute_heist(attacker_id=player("alice", tokens=3).pk, victim_id=player("bob", points=1000).pk)


@pytest.fixture
def rejection(success: Heist) -> Heist:
    return execute_heist(attacker_id=success.attacker_id, victim_id=success.victim_id)


@pytest.mark.parametrize(
    ("assignment", "constraint"),
    [
        ("failure_code = 'lazy'", "heists_heist_failure_code_known"),
        ("points_stolen = -50, victim_points_after = 1050, attacker_points_after = -50", "heists_heist_"),
        ("points_stolen = 51", "heists_heist_transfer_balanced"),
        ("victim_points_after = victim_points_after - 1", "heists_heist_transfer_balanced"),
        ("attacker_points_after = attacker_points_after + 1", "heists_heist_transfer_balanced"),
        ("victim_points_before = 10, victim_points_after = -40", "heists_heist_never_negative"),
        ("status = 'FAILED_SHIELD'", "heists_heist_only_success_steals"),
        (
            "points_stolen = 0, victim_points_after = victim_points_before, "
            "attacker_points_after = attacker_points_before",
            "heists_heist_only_success_steals",
        ),
        ("token_spent = false", "heists_heist_outcome_spends_token"),
        ("victim_id = attacker_id", "heists_heist_not_oneself"),
    ],
)
def test_an_inconsistent_success_is_rejected(success: Heist, assignment: str, constraint: str) -> None:
    assert constraint in rejection_without_triggers(f"UPDATE heists_heist SET {assignment} WHERE id = %s", success.pk)


@pytest.mark.parametrize(
    ("assignment", "constraint"),
    [
        ("status = 'FAILED_LAZINESS'", "heists_heist_status_known"),
        ("token_spent = true", "heists_heist_outcome_spends_token"),
        ("status = 'SUCCESS', token_spent = true", "heists_heist_only_success_steals"),
        (
            "points_stolen = 5, victim_points_after = victim_points_before - 5, "
            "attacker_points_after = attacker_points_before + 5",
            "heists_heist_only_success_steals",
        ),
        ("attacker_id = victim_id", "heists_heist_not_oneself"),
    ],
)
def test_an_inconsistent_rejection_is_rejected(rejection: Heist, assignment: str, constraint: str) -> None:
    assert constraint in rejection_without_triggers(f"UPDATE heists_heist SET {assignment} WHERE id = %s", rejection.pk)


def test_robbing_oneself_is_written_only_as_an_invalid_target() -> None:
    alice = player("alice", tokens=1)

    heist = execute_heist(attacker_id=alice.pk, victim_id=alice.pk)

    assert heist.status == HeistStatus.FAILED_INVALID_TARGET
    statement = "UPDATE heists_heist SET status = 'FAILED_COOLDOWN' WHERE id = %s"
    assert "heists_heist_not_oneself" in rejection_without_triggers(statement, heist.pk)


@pytest.mark.parametrize(
    ("assignment", "constraint"),
    [
        ("balance = -1, total_spent = total_earned + 1", "heists_token_never_negative"),
        ("balance = balance + 1", "heists_token_balance_adds_up"),
        ("total_earned = total_earned + 1", "heists_token_balance_adds_up"),
        ("total_spent = total_spent - 1", "heists_token_balance_adds_up"),
    ],
)
def test_an_inconsistent_token_balance_is_rejected(success: Heist, assignment: str, constraint: str) -> None:
    statement = f"UPDATE heists_heisttoken SET {assignment} WHERE user_id = %s"

    assert constraint in rejected_by(statement, success.attacker_id)


def test_a_notification_is_of_a_known_type_and_not_sent_without_a_time(success: Heist) -> None:
    assert "type_known" in rejected_by("UPDATE heists_heistnotification SET type = 'GOSSIP'")
    assert "sent_has_time" in rejected_by("UPDATE heists_heistnotification SET email_sent = true")


def test_a_grant_is_positive_known_and_once_per_source() -> None:
    alice = player("alice", tokens=1)
    insert = "INSERT INTO heists_tokengrant (player_id, amount, reason, source) VALUES (%s, %s, %s, %s)"

    assert "only_correction_takes" in rejected_by(insert, alice.pk, 0, "STAFF", "a")
    assert "reason_known" in rejected_by(insert, alice.pk, 1, "KINDNESS", "b")
    assert "source" in rejected_by(insert, alice.pk, 1, "STAFF", f"test:{alice.pk}")


def test_grants_and_rules_can_not_be_edited_by_the_orm(success: Heist) -> None:
    for model in (TokenGrant, RuleSet):
        row = model.objects.get()
        for write in (row.save, row.delete, model.objects.all().delete, lambda m=model: m.objects.update(pk=1)):
            with pytest.raises(AppendOnlyError):
                write()


def test_the_member_of_staff_who_granted_may_be_deleted(django_user_model: Any) -> None:
    staff, alice = player("staff"), player("alice")
    grant = grant_tokens(player=alice, amount=2, reason=GrantReason.STAFF, source="s:1", granted_by=staff)

    staff.delete()

    assert TokenGrant.objects.get(pk=grant.pk).granted_by is None


def test_a_rule_change_is_of_one_kind_and_once_for_a_moment(success: Heist) -> None:
    now, rules = timezone.now(), RuleSet.objects.get()

    def add(kind: str, rule_set: RuleSet | None, enabled: bool | None, at: dt.datetime = now) -> None:
        RuleChange.objects.create(kind=kind, takes_effect_at=at, rule_set=rule_set, enabled=enabled, reason="a try")

    for kind, rule_set, enabled in (
        ("RULES", None, None),
        ("RULES", rules, True),
        ("RULES", None, False),
        ("SWITCH", None, None),
        ("SWITCH", rules, True),
        ("SWITCH", rules, None),
        ("OTHER", rules, None),
        ("OTHER", None, True),
    ):
        with pytest.raises(IntegrityError, match="heists_rulechange_kind_known"), transaction.atomic():
            add(kind, rule_set, enabled)
    add("RULES", rules, None)
    add("SWITCH", None, False)
    add("SWITCH", None, False, now + dt.timedelta(microseconds=1))
    with pytest.raises(IntegrityError), transaction.atomic():
        add("RULES", rules, None)
    with pytest.raises(IntegrityError), transaction.atomic():
        add("SWITCH", None, True)


def test_a_player_has_one_live_shield() -> None:
    alice, now = player("alice"), timezone.now()
    week = dt.timedelta(days=7)
    Shield.objects.create(player=alice, cost=50, bought_at=now - week, expires_at=now, expired_at=now)
    Shield.objects.create(player=alice, cost=50, bought_at=now, expires_at=now + week)

    with pytest.raises(IntegrityError), transaction.atomic():
        Shield.objects.create(player=alice, cost=50, bought_at=now, expires_at=now + week)


def test_a_player_has_one_open_truce_and_each_start_once() -> None:
    alice, bob, now = player("alice"), player("bob"), timezone.now()
    month = dt.timedelta(days=31)
    Truce.objects.create(player=alice, starts_at=now, ends_at=now + month)
    Truce.objects.create(player=alice, starts_at=now + month)
    Truce.objects.create(player=bob, starts_at=now)

    for starts_at, ends_at in ((now + 2 * month, None), (now, now)):
        with pytest.raises(IntegrityError, match="heists_truce"), transaction.atomic():
            Truce.objects.create(player=alice, starts_at=starts_at, ends_at=ends_at)


def test_a_truce_does_not_end_before_it_starts() -> None:
    truce = Truce.objects.create(player=player(), starts_at=timezone.now())
    Truce.objects.filter(pk=truce.pk).update(ends_at=truce.starts_at)
    moment = truce.starts_at - dt.timedelta(microseconds=1)

    assert "heists_truce_ends_later" in rejected_by("UPDATE heists_truce SET ends_at = %s", moment)


def test_a_shield_is_used_or_expired_never_both(success: Heist) -> None:
    now = timezone.now()
    shield = Shield.objects.create(
        player_id=success.victim_id, cost=50, bought_at=now, expires_at=now + dt.timedelta(days=7)
    )

    for assignment in ("used_at = bought_at, expired_at = bought_at", "used_by_id = %s", "expires_at = bought_at"):
        params = [success.pk] if "%s" in assignment else []
        statement = f"UPDATE heists_shield SET {assignment} WHERE id = %s"
        assert "heists_shield" in rejected_by(statement, *params, shield.pk)


def test_a_player_is_the_attacker_of_one_heist_for_each_key() -> None:
    alice, bob = player("alice", tokens=1), player("bob", points=100)
    execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")
    other = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert "idempotency" in rejection_without_triggers(
        "UPDATE heists_heist SET idempotency_key = 'k' WHERE id = %s", other.pk
    )


def test_a_token_row_needs_a_user() -> None:
    words = rejected_by("INSERT INTO heists_heisttoken (user_id, balance, total_earned) VALUES (999999, 1, 1)")

    assert "auth_user" in words


@pytest.mark.postgresql
class TestPlainSqlOnPostgreSQL:
    def test_the_attackers_token_row_is_a_foreign_key(self, success: Heist) -> None:
        stranger = player("stranger")
        statement = (
            "INSERT INTO heists_heist (attacker_id, victim_id, points_stolen, victim_points_before,"
            " victim_points_after, attacker_points_before, attacker_points_after, token_spent, status, rule_set_id)"
            " SELECT %s, victim_id, 0, 0, 0, 0, 0, false, 'FAILED_COOLDOWN', rule_set_id FROM heists_heist"
            " WHERE id = %s"
        )

        assert rejected_by(statement, stranger.pk, success.pk) == "heists_heist_attacker_token_fk"

    def test_a_plain_delete_does_what_the_models_say(self) -> None:
        models = apps.get_app_config("heists").get_models()
        keys: list[Any] = [field for model in models for field in model._meta.concrete_fields if field.remote_field]
        actions = {CASCADE: "c", SET_NULL: "n", PROTECT: "a"}
        expected = {
            (field.model._meta.db_table, field.column): actions[field.remote_field.on_delete]
            for field in keys
            if field.db_constraint
        }

        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_name.relname, attname, confdeltype::text, condeferred FROM pg_constraint"
                " JOIN pg_class AS table_name ON table_name.oid = conrelid"
                " JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]"
                " WHERE contype = 'f' AND relname LIKE 'heists%%' AND conname <> 'heists_heist_attacker_token_fk'"
            )
            found = cursor.fetchall()

        assert {(table, column): action for table, column, action, _deferred in found} == expected
        assert all(deferred for *_rest, deferred in found)

    def test_deleting_the_attacker_takes_their_rows_and_keeps_the_victims_notifications(self, success: Heist) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM auth_user WHERE id = %s", [success.attacker_id])
            connection.check_constraints()

        assert not Heist.objects.exists()
        assert HeistToken.objects.get().user_id == success.victim_id
        assert not TokenGrant.objects.exists()
        notification = HeistNotification.objects.get()
        assert (notification.user_id, notification.heist_id) == (success.victim_id, None)

    def test_deleting_the_victim_takes_the_heist_and_keeps_the_spent_token(self, success: Heist) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM auth_user WHERE id = %s", [success.victim_id])
            connection.check_constraints()

        assert not Heist.objects.exists()
        token = HeistToken.objects.get()
        assert (token.balance, token.total_spent, token.spent_on_deleted) == (2, 1, 1)

    def test_a_token_row_of_an_attacker_can_not_be_deleted_alone(self, success: Heist) -> None:
        statement = "DELETE FROM heists_heisttoken WHERE user_id = %s"

        assert "append-only while both players exist" in rejected_by(statement, success.attacker_id)


def test_deleting_the_victim_through_django_keeps_the_spent_token_too(success: Heist) -> None:
    success.victim.delete()

    token = HeistToken.objects.get()
    assert (token.balance, token.total_spent, token.spent_on_deleted) == (2, 1, 1)


def test_a_text_that_is_no_number_is_rejected(success: Heist) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE heists_heist SET points_stolen = 'many'")
