"""A heist is an audit row: nothing but its address is edited, and only a deleted player takes it along.

Other append-only rows are not edited at all, but that a deleted account of staff is taken out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import serializers
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import Model
from django.utils import timezone

from heists.choices import GrantReason
from heists.models import AppendOnlyError, AttemptLog, Heist, Reversal, RuleChange, RuleSet, TokenGrant
from heists.services import execute_heist, grant_tokens, reverse_heist
from tests.factories import player


def columns(model: type[Model]) -> list[Any]:
    return list(model._meta.concrete_fields)


COLUMNS = [field.column for field in columns(Heist) if field.name != "ip_address"]


def success() -> Heist:
    alice, bob = player("alice", tokens=1), player("bob", points=1000)
    return execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="203.0.113.7", idempotency_key="k")


def rejection() -> Heist:
    return execute_heist(attacker_id=player().pk, victim_id=player().pk)


def run(sql: str, *params: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        count: int = cursor.rowcount
        return count


@pytest.mark.django_db
@pytest.mark.parametrize("column", COLUMNS)
def test_no_column_of_a_heist_can_be_edited_by_sql(column: str) -> None:
    heist = success()
    # NULL fits every type; the columns that are null already get a value.
    value = {"id": "id + 1", "failure_code": "'shield'", "failure_reason": "'x'", "retry_at": "'2001-01-01'"}.get(
        column, "NULL"
    )

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        run(f"UPDATE heists_heist SET {column} = {value} WHERE id = %s", heist.pk)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("model", "column"),
    [(model, field.column) for model in (Reversal, TokenGrant, RuleSet, RuleChange) for field in columns(model)],
)
def test_no_column_of_another_append_only_row_can_be_edited_by_sql(model: type[Model], column: str) -> None:
    heist, staff, other = success(), player(), player()
    later = timezone.now() + timedelta(hours=1)
    rows: dict[type[Model], Callable[[], Model]] = {
        Reversal: lambda: reverse_heist(heist_id=heist.pk, reversed_by=staff, reason="a bug"),
        TokenGrant: lambda: grant_tokens(
            player=other, amount=2, reason=GrantReason.STAFF, source="s:1", granted_by=staff
        ),
        RuleSet: lambda: heist.rule_set,
        RuleChange: lambda: RuleChange.objects.create(
            kind="RULES", takes_effect_at=later, rule_set=heist.rule_set, reason="a try", changed_by=staff
        ),
    }
    table, pk, who = model._meta.db_table, rows[model]().pk, column.endswith("_by_id")
    values = {"id": "id + 1000", "enabled": "TRUE"} | ({column: str(other.pk)} if who else {})
    edit = f"UPDATE {table} SET {column} = {values.get(column, 'NULL')} WHERE id = %s"

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        run(edit, pk)

    if who:
        # As the deletion of the account does, and never back again.
        assert run(f"UPDATE {table} SET {column} = NULL WHERE id = %s", pk) == 1
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            run(edit, pk)


@pytest.mark.django_db
def test_the_orm_edits_and_deletes_no_reversal() -> None:
    reversal = reverse_heist(heist_id=success().pk, reversed_by=None, reason="a bug")

    edits: tuple[Callable[[], object], ...] = (
        reversal.save,
        reversal.delete,
        Reversal.objects.all().delete,
        lambda: Reversal.objects.update(reason="another"),
    )
    for edit in edits:
        with pytest.raises(AppendOnlyError), transaction.atomic():
            edit()


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
@pytest.mark.parametrize("side", ["attacker", "victim"])
def test_a_player_deleted_by_sql_takes_the_reversal_along(side: str) -> None:
    heist, staff = success(), player()
    reverse_heist(heist_id=heist.pk, reversed_by=staff, reason="a bug")

    run("DELETE FROM auth_user WHERE id = %s", staff.pk)
    assert Reversal.objects.get().reversed_by_id is None
    run("DELETE FROM gamification_playerprofile; DELETE FROM gamification_pointevent")
    run("DELETE FROM auth_user WHERE id = %s", getattr(heist, f"{side}_id"))

    assert not Reversal.objects.exists()


@pytest.mark.django_db
def test_the_address_alone_can_be_changed_and_removed() -> None:
    heist = success()

    for address in ("198.51.100.1", None):
        assert run("UPDATE heists_heist SET ip_address = %s", address) == 1
        assert Heist.objects.get().ip_address == address
    Heist.objects.update(ip_address="203.0.113.9")
    heist.ip_address = "203.0.113.10"
    heist.save(update_fields=["ip_address"])
    assert Heist.objects.get().ip_address == "203.0.113.10"


@pytest.mark.django_db
def test_the_orm_edits_and_deletes_no_heist() -> None:
    heist = success()

    edits: tuple[Callable[[], object], ...] = (
        heist.save,
        heist.delete,
        Heist.objects.all().delete,
        lambda: heist.save(update_fields=["status"]),
        lambda: heist.save(update_fields=["ip_address", "status"]),
        lambda: Heist.objects.update(points_stolen=1),
        lambda: Heist.objects.update(ip_address=None, points_stolen=1),
        lambda: Heist.objects.bulk_update([heist], ["points_stolen"]),
    )
    for edit in edits:
        with pytest.raises(AppendOnlyError), transaction.atomic():
            edit()
    assert Heist.objects.get().points_stolen == 50


@pytest.mark.django_db
def test_a_fixture_with_the_same_rows_can_be_loaded_again() -> None:
    rejected = rejection()
    # An outcome is not logged: its token, events and notifications miss it.
    success()
    assert AttemptLog.objects.get().heist_id == rejected.pk
    fixture = serializers.serialize("python", [*Heist.objects.all(), *AttemptLog.objects.all()])

    for item in serializers.deserialize("python", fixture):
        item.save()

    assert (Heist.objects.count(), AttemptLog.objects.count()) == (2, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
@pytest.mark.parametrize("also", ["", "UPDATE auth_user SET is_active = FALSE"])
def test_a_heist_can_not_be_deleted_while_both_players_exist(also: str) -> None:
    success()

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        run("UPDATE heists_heistnotification SET heist_id = NULL")
        assert run("DELETE FROM heists_heist") == 1
        if also:
            run(also)

    assert Heist.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("side", ["attacker", "victim"])
@pytest.mark.parametrize("how", ["instance", "queryset", "heists first"])
def test_a_deleted_player_takes_the_heists_along(side: str, how: str) -> None:
    user = getattr(success(), side)

    if how == "instance":
        user.delete()
    elif how == "queryset":
        get_user_model().objects.filter(pk=user.pk).delete()
    else:
        with transaction.atomic():
            run("UPDATE heists_heistnotification SET heist_id = NULL")
            run("DELETE FROM heists_heist")
            user.delete()

    assert not Heist.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
@pytest.mark.parametrize("side", ["attacker_id", "victim_id"])
def test_a_player_deleted_by_sql_takes_the_heists_along(side: str) -> None:
    heist = success()
    run("DELETE FROM gamification_pointevent")

    run("DELETE FROM auth_user WHERE id = %s", getattr(heist, side))

    assert not Heist.objects.exists()
    assert AttemptLog.objects.get(heist_id=heist.pk).deleted


@pytest.mark.django_db(transaction=True)
def test_a_flush_empties_the_tables() -> None:
    success()

    call_command("flush", interactive=False, verbosity=0)

    assert not Heist.objects.exists()
    assert not AttemptLog.objects.exists()
