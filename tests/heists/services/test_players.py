"""The rows of players whose accounts are deleted, many in one statement."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import CASCADE, Model
from django.db.models.signals import post_delete, pre_delete
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from heists.models import (
    EmailPreference,
    Heist,
    HeistNotification,
    HeistToken,
    OutboxEmail,
    Reversal,
    Shield,
)
from heists.services import delete_player_rows, execute_heist, players, reverse_heist
from tests.conftest import HeistSettings
from tests.factories import bought_shield, player, rewrite, tokens_of

pytestmark = pytest.mark.django_db(transaction=True)

DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def no_cooldowns(heist_settings: HeistSettings) -> None:
    heist_settings(COOLDOWN_HOURS=0, TARGET_COOLDOWN_HOURS=0, PAIR_COOLDOWN_HOURS=0)


def rob(attacker: Any, victim: Any, days_ago: int) -> Heist:
    """Execute a heist, and move it into the past."""
    heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)
    assert heist.is_outcome
    rewrite(heist, created_at=timezone.now() - days_ago * DAY)
    return heist


def delete(*users: Any) -> None:
    with transaction.atomic():
        assert delete_player_rows([user.pk for user in users])
        assert not Heist.objects.filter(attacker__in=users).exists()
        for user in users:
            user.delete()


def test_each_heist_of_one_statement_is_kept_with_its_player() -> None:
    alice, bob, carol = (player(name, points=2000, tokens=9) for name in ("alice", "bob", "carol"))
    old = [rob(alice, bob, 60), rob(alice, bob, 20), rob(alice, carol, 10)]
    against = [rob(bob, alice, 8), rob(bob, alice, 6), rob(carol, alice, 4)]
    losses = [(heist.pk, heist.points_stolen) for heist in old]

    delete(alice)

    assert {heist.pk for heist in old + against}.isdisjoint(Heist.objects.values_list("pk", flat=True))
    assert [(loss.heist_id, loss.points) for loss in tokens_of(bob).deleted_losses] == losses[1:2]
    assert [(loss.heist_id, loss.points) for loss in tokens_of(carol).deleted_losses] == losses[2:]
    assert [tokens_of(user).spent_on_deleted for user in (bob, carol)] == [2, 1]


def test_what_an_earlier_deletion_left_stays() -> None:
    alice, bob, carol = (player(name, points=2000, tokens=9) for name in ("alice", "bob", "carol"))
    heists = [rob(alice, bob, 20), rob(carol, bob, 10)]

    delete(alice)
    delete(carol)

    assert [loss.heist_id for loss in tokens_of(bob).deleted_losses] == [heist.pk for heist in heists]


def test_both_players_reversals_and_used_shields() -> None:
    alice, bob, carol = (player(name, points=2000, tokens=9) for name in ("alice", "bob", "carol"))
    reverse_heist(heist_id=rob(alice, bob, 5).pk, reversed_by=None, reason="a bug")
    bought_shield(carol, timezone.now())
    blocked = rob(alice, carol, 1)
    assert Shield.objects.get().used_by_id == blocked.pk

    delete(alice, bob)

    assert not Heist.objects.exists()
    assert Shield.objects.get().used_by is None
    left: Any = HeistNotification.objects.values_list("user", "heist").distinct().order_by("user")
    assert list(left) == [(carol.pk, None)]
    connection.check_constraints()


def test_outside_the_transaction_of_the_accounts_nothing_is_deleted() -> None:
    heist = rob(player(tokens=1), player(points=500), 1)

    with pytest.raises(transaction.TransactionManagementError):
        delete_player_rows([heist.attacker_id])

    assert Heist.objects.filter(pk=heist.pk).exists()


def test_only_the_rows_of_these_players_are_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    # Two players more than one statement takes.
    monkeypatch.setattr("heists.services.players.BATCH_SIZE", 1)
    delete_batch, batches = players._delete, []

    def noted(keys: Any, using: str) -> None:
        batches.append(list(keys))
        delete_batch(keys, using)

    monkeypatch.setattr(players, "_delete", noted)
    alice, bob, carol, dora, eve = (
        player(name, points=2000, tokens=9, email=f"{name}@example.com")
        for name in ("alice", "bob", "carol", "dora", "eve")
    )
    gone = [rob(alice, dora, 5), rob(dora, bob, 4), rob(carol, eve, 3)]
    stays = rob(eve, dora, 2)
    for heist in (*gone, stays):
        reverse_heist(heist_id=heist.pk, reversed_by=None, reason="a bug")
    bought_shield(eve, timezone.now())
    used_by = rob(dora, eve, 0)

    keys = [user.pk for user in (alice, bob, carol)]
    with transaction.atomic():
        assert delete_player_rows(iter(keys)) is True
        heists = set(Heist.objects.values_list("pk", flat=True))
        reversals = set(Reversal.objects.values_list("heist", flat=True))
        owners = set(HeistToken.objects.values_list("user", flat=True))
        notified = set(HeistNotification.objects.values_list("user", "heist"))
        emailed = set(OutboxEmail.objects.values_list("notification__user", flat=True))
        for user in (alice, bob, carol):
            user.delete()

    assert batches == [[key] for key in keys]
    assert (heists, reversals, owners) == ({stays.pk, used_by.pk}, {stays.pk}, {dora.pk, eve.pk})
    # An attacker is told nothing of a block.
    assert notified == {(dora.pk, stays.pk), (eve.pk, stays.pk), (eve.pk, used_by.pk), (dora.pk, None), (eve.pk, None)}
    assert emailed == {dora.pk, eve.pk}
    assert Shield.objects.get().used_by_id == used_by.pk
    connection.check_constraints()


@pytest.mark.django_db
def test_a_receiver_of_the_host_leaves_the_deletion_to_django() -> None:
    heist = rob(player(tokens=1), player(points=500), 1)

    def receive(**_signal: Any) -> None:
        pass

    for model in players.ROWS:
        for signal in (pre_delete, post_delete):
            signal.connect(receive, sender=model)
            try:
                assert delete_player_rows([heist.attacker_id]) is False, model
            finally:
                signal.disconnect(receive, sender=model)

    assert Heist.objects.filter(pk=heist.pk).exists()
    with transaction.atomic():
        assert delete_player_rows([heist.attacker_id]) is True
        transaction.set_rollback(True)


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Heist, Reversal, Shield, EmailPreference])
def test_a_foreign_key_of_another_app_leaves_the_deletion_to_django(
    monkeypatch: pytest.MonkeyPatch, model: type[Model]
) -> None:
    heist = rob(player(tokens=1), player(points=500), 1)
    relations = (*model._meta.related_objects, SimpleNamespace(related_model=get_user_model()))
    monkeypatch.setitem(vars(model._meta), "related_objects", relations)

    assert delete_player_rows([heist.attacker_id]) is False

    assert Heist.objects.filter(pk=heist.pk).exists()


@pytest.mark.django_db
@pytest.mark.postgresql
def test_the_opponents_tokens_are_locked_in_one_order_before_anything_is_deleted() -> None:
    """The triggers write these rows: two deletions that did not lock them first could wait for each other."""
    alice, bob, carol = (player(points=2000, tokens=9) for _ in range(3))
    rob(alice, carol, 2), rob(bob, alice, 1)
    expected = sorted(tokens_of(user).pk for user in (alice, bob, carol))
    player(tokens=1)

    with CaptureQueriesContext(connection) as statements, transaction.atomic():
        delete_player_rows([alice.pk])
        transaction.set_rollback(True)

    _savepoint, lock, *others = [one["sql"] for one in statements]
    assert lock.startswith('SELECT "heists_heisttoken"."id"')
    assert lock.endswith("ORDER BY 1 ASC FOR NO KEY UPDATE")
    assert others[0].startswith("DELETE")
    with connection.cursor() as cursor:
        cursor.execute(lock)
        assert [key for (key,) in cursor.fetchall()] == expected


def test_every_model_whose_rows_a_deleted_player_takes_along_is_named() -> None:
    relations: list[Any] = get_user_model()._meta.get_fields(include_hidden=True)
    cascades = {one.related_model for one in relations if getattr(one, "on_delete", None) is CASCADE}
    of_heists = {model for model in cascades if model._meta.app_label == "heists"}

    # Two whose rows go with a heist or a notification.
    assert of_heists | {Reversal, OutboxEmail} == players.ROWS.keys()
