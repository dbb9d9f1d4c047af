from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, connection, models, transaction

from gamification.demo.build import Built
from gamification.demo.bulk import Bulk
from gamification.models import PointEvent
from tests.factories import player
from tests.replay import assert_replay_agrees

pytestmark = pytest.mark.django_db(transaction=True)
FIELDS = "user type points reference created_at month".split()  # noqa: SIM905


def test_values_are_read_back_as_they_went_in(now: dt.datetime) -> None:
    user, bulk = player(), Bulk()
    row = (bulk.next_id(PointEvent), user.pk, "CHECKIN", -3, 'a "\\\n\tb', now, now.date())

    bulk.insert(PointEvent, ["id", *FIELDS], [row])
    bulk.reset_sequences()

    assert PointEvent.objects.values_list("id", *FIELDS).get() == row
    assert PointEvent.objects.create(user=user, type_id="CHECKIN", points=1).pk > row[0]


def test_a_large_world_has_the_same_schema_afterwards(
    seed_smallest: Callable[..., Built], schema: Callable[[], set[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = schema()
    monkeypatch.setattr("gamification.demo.build.LARGE_WORLD_HEISTS", 1)
    monkeypatch.setattr("gamification.demo.build.BATCH_HEISTS", 10)

    seed_smallest()

    assert schema() == before
    assert_replay_agrees()


def test_indexes_are_dropped_only_while_an_empty_table_is_filled(
    now: dt.datetime, schema: Callable[[], set[Any]]
) -> None:
    user, before = player(), schema()
    rows = [(user.pk, "CHECKIN", 1, "", now, now.date())]

    with transaction.atomic(), Bulk().indexes_last():
        during = schema()
    bulk = Bulk()
    with transaction.atomic(), bulk.indexes_last():
        bulk.insert(PointEvent, FIELDS, rows)
        empty = schema()
    bulk = Bulk()
    with transaction.atomic(), bulk.indexes_last():
        bulk.insert(PointEvent, FIELDS, rows)
        filled = schema()

    assert during == filled == schema() == before
    assert empty < before


def test_a_wrong_foreign_key_undoes_everything(now: dt.datetime, schema: Callable[[], set[Any]]) -> None:
    before, bulk = schema(), Bulk()

    with pytest.raises(IntegrityError), transaction.atomic(), bulk.indexes_last():
        bulk.insert(PointEvent, FIELDS, [(4711, "CHECKIN", 1, "", now, now.date())])

    assert schema() == before
    assert not PointEvent.objects.exists()


def test_a_table_name_may_need_quotes(schema: Callable[[], set[Any]]) -> None:
    class Ledger(models.Model):  # noqa: DJ008 - shown to nobody
        player = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")

        class Meta:
            app_label = "gamification"
            db_table = "Ledger of Points"

    try:
        with connection.schema_editor() as editor:
            editor.create_model(Ledger)
        before, bulk, user = schema(), Bulk(), player()

        with transaction.atomic(), bulk.indexes_last():
            bulk.insert(Ledger, ("player",), [(user.pk,)])
            assert schema() < before

        assert schema() == before
        assert Ledger._default_manager.get().player == user
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Ledger)
        del apps.all_models["gamification"]["ledger"]
        apps.clear_cache()
