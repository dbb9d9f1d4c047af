"""Every constraint and trigger of the example host rejects plain SQL (docs/specification.md, "The two apps")."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import CASCADE, PROTECT, SET_NULL, Model

from gamification import services
from gamification.models import CoinEntry, MonthlyStanding, PlayerProfile, PointEvent, ReferralReward

from .conftest import PASSWORD

pytestmark = pytest.mark.django_db


def sql(statement: str, *values: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        connection.check_constraints()


@pytest.mark.parametrize("column", ["points", "monthly_points", "coins"])
def test_no_balance_is_negative(alice: Any, column: str) -> None:
    with pytest.raises(IntegrityError, match=f"profile_{column}_not_negative"):
        sql(f"UPDATE gamification_playerprofile SET {column} = -1")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE gamification_playerprofile SET referred_by_id = user_id",
        "UPDATE gamification_playerprofile SET referral_code = 'SAME'",
        "INSERT INTO gamification_playerprofile (user_id, points, monthly_points, month, coins, referral_code) "
        "SELECT user_id, 0, 0, month, 0, 'OTHER' FROM gamification_playerprofile",
        "INSERT INTO gamification_referralreward (referrer_id, month, reference, created_at) "
        "SELECT user_id, '2026-01-01', 'referral:1', '2026-01-01' FROM gamification_playerprofile",
        "UPDATE gamification_pointeventtypemaster SET name = 'SAME'",
        "DELETE FROM gamification_pointeventtypemaster WHERE name = 'SIGNUP'",
        "INSERT INTO gamification_pointevent (user_id, type, points, reference, created_at, month) "
        "SELECT user_id, 'INVENTED', 1, '', '2026-01-01', month FROM gamification_playerprofile",
        "INSERT INTO gamification_pointevent (user_id, type, points, reference, created_at, month) "
        "VALUES (987654, 'SIGNUP', 1, '', '2026-01-01', '2026-01-01')",
        "INSERT INTO gamification_coinentry (user_id, amount, reason, reference, created_at) "
        "SELECT user_id, 0, 'AWARD', '', '2026-01-01' FROM gamification_playerprofile",
        "INSERT INTO gamification_coinentry (user_id, amount, reason, reference, created_at) "
        "SELECT user_id, 1, 'THEFT', '', '2026-01-01' FROM gamification_playerprofile",
        "INSERT INTO gamification_monthlystanding (player_id, month, points) "
        "SELECT user_id, '2026-01-01', 0 FROM gamification_playerprofile",
        "INSERT INTO gamification_monthlystanding (player_id, month, points) "
        "SELECT a.user_id, '2026-01-01', 1 FROM gamification_playerprofile a, gamification_playerprofile b",
    ],
)
def test_rows_that_violate_a_constraint_are_rejected(alice: Any, bob: Any, statement: str) -> None:
    with pytest.raises(IntegrityError):
        sql(statement)


@pytest.mark.parametrize(
    ("model", "column"),
    [
        (model, field.column)
        for model in (PointEvent, CoinEntry, MonthlyStanding, ReferralReward)
        for field in model._meta.concrete_fields
    ],
)
def test_no_column_of_a_ledger_row_can_be_updated_by_sql(alice: Any, model: type[Model], column: str) -> None:
    services.award_coins(player=alice, amount=5)
    MonthlyStanding.objects.create(player=alice, month=dt.date(2026, 1, 1), points=5)
    ReferralReward.objects.create(referrer=alice, month=dt.date(2026, 1, 1), reference="referral:1")
    value = "id + 1000" if column == "id" else "NULL"

    with pytest.raises(DatabaseError, match="append-only"):
        sql(f"UPDATE {model._meta.db_table} SET {column} = {value}")


@pytest.mark.postgresql
def test_a_plain_delete_does_what_the_models_say(db: None) -> None:
    actions: dict[Any, str] = {CASCADE: "c", SET_NULL: "n", PROTECT: "a"}
    expected = {
        (model._meta.db_table, field.column): actions[field.remote_field.on_delete]
        for model in apps.get_app_config("gamification").get_models()
        for field in model._meta.concrete_fields
        if field.remote_field
    }

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, attname, confdeltype::text, condeferred FROM pg_constraint"
            " JOIN pg_class ON pg_class.oid = conrelid"
            " JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]"
            " WHERE contype = 'f' AND relname LIKE 'gamification%%'"
        )
        found = cursor.fetchall()

    assert {(table, column): action for table, column, action, _deferred in found} == expected
    assert all(deferred for *_rest, deferred in found)


@pytest.mark.postgresql
def test_a_plain_delete_of_a_user_takes_points_and_coins_along(alice: Any) -> None:
    code = PlayerProfile.objects.get(user=alice).referral_code
    get_user_model().objects.filter(pk=alice.pk).update(is_active=False)  # so that there is no heist token to take
    bob = services.sign_up(username="bob", password=PASSWORD, referral_code=code)
    services.award_coins(player=alice, amount=5)
    MonthlyStanding.objects.create(player=alice, month=dt.date(2026, 1, 1), points=5)

    sql("DELETE FROM auth_user WHERE id = %s", alice.pk)

    assert PlayerProfile.objects.get().referred_by is None
    assert PlayerProfile.objects.get().user == bob
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM gamification_coinentry")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT count(*) FROM gamification_monthlystanding")
        assert cursor.fetchone() == (0,)
