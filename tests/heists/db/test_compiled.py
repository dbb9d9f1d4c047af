"""Compiled queries return what the queryset returns, with each call's own parameters."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from gamification.models import PlayerProfile
from heists.db.compiled import CompiledQuery, Param
from tests.factories import player

pytestmark = pytest.mark.django_db

USER: Any = PlayerProfile._meta.get_field("user")


def points() -> CompiledQuery:
    return CompiledQuery(
        PlayerProfile.objects.filter(user=Param("user", USER)).values_list("monthly_points", flat=True)
    )


def test_a_query_is_compiled_once_and_run_with_other_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player(points=10), player(points=20)
    query = points()
    monkeypatch.setattr("django.db.models.sql.compiler.SQLCompiler.get_select", None)

    assert query.fetch({"user": alice.pk}) == [10]
    assert query.fetch({"user": bob.pk}) == [20]
    assert query.fetch({"user": 0}) == []


def test_a_list_parameter_takes_as_many_values_as_it_was_compiled_for() -> None:
    alice, bob, carol = player(points=10), player(points=20), player(points=30)
    query = CompiledQuery(
        PlayerProfile.objects.filter(user__in=Param("users", USER, length=2)).order_by("monthly_points")
    )

    with CaptureQueriesContext(connection) as statements:
        rows = query.fetch({"users": [carol.pk, alice.pk]})

    assert [row.user_id for row in rows] == [alice.pk, carol.pk]
    assert len(statements) == 1
    assert [row.user_id for row in query.fetch({"users": [bob.pk, bob.pk]})] == [bob.pk]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_a_row_lock_outside_a_transaction_is_an_error_each_time() -> None:
    alice = player(points=10)
    with transaction.atomic():
        query = CompiledQuery(PlayerProfile.objects.select_for_update().filter(user=Param("user", USER)))
        query.fetch({"user": alice.pk})

    for _time in range(2):
        with pytest.raises(TransactionManagementError):
            query.fetch({"user": alice.pk})


def test_a_query_does_not_keep_the_connection_of_the_thread_that_compiled_it() -> None:
    def compiled() -> tuple[CompiledQuery, weakref.ref[Any]]:
        return points(), weakref.ref(connections["default"])

    with ThreadPoolExecutor(1) as threads:
        query, its_connection = threads.submit(compiled).result()
    gc.collect()

    assert its_connection() is None
    assert query.fetch({"user": player(points=7).pk}) == [7]
