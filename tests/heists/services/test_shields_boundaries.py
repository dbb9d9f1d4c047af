"""What buy_shield and expire_shields write and lock, to the last column; and what they leave alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gamification.economy import GamificationEconomy
from gamification.models import CoinEntry
from heists import errors, signals
from heists.db.retry import StaleRead
from heists.economy import get_economy
from heists.models import HeistNotification, RuleSetQuerySet, Shield
from heists.services import buy_shield, expire_shields, shields
from tests.conftest import HeistSettings
from tests.factories import player

from .elsewhere import only
from .lost_answers import fail_the_commit, lose_the_answer

pytestmark = pytest.mark.django_db

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)


@pytest.fixture
def frozen() -> Iterator[None]:
    with mock.patch("django.utils.timezone.now", lambda: NOW):
        yield


def over(owner: Any, since: dt.timedelta = HOUR, **fields: Any) -> Shield:
    return Shield.objects.create(
        player=owner, cost=0, bought_at=NOW - 7 * DAY - since, expires_at=NOW - since, **fields
    )


def test_the_row_of_a_purchase_has_every_column(frozen: None, heist_settings: HeistSettings) -> None:
    heist_settings(SHIELD_COST=30, SHIELD_DAYS=3)
    alice = player(coins=30)

    shield = buy_shield(player_id=alice.pk, idempotency_key="a key")

    shield.refresh_from_db()
    assert (shield.player_id, shield.cost, shield.idempotency_key) == (alice.pk, 30, "a key")
    assert (shield.bought_at, shield.expires_at) == (NOW, NOW + 3 * DAY)
    assert (shield.used_at, shield.used_by_id, shield.expired_at) == (None, None, None)


def test_each_key_is_a_purchase_of_its_own(frozen: None) -> None:
    alice = player(coins=200)
    bought = {}
    for key in ("one", "two", None):
        bought[key] = buy_shield(player_id=alice.pk, idempotency_key=key)
        Shield.objects.update(used_at=NOW)

    assert len({shield.pk for shield in bought.values()}) == 3
    assert {key: buy_shield(player_id=alice.pk, idempotency_key=key) for key in ("one", "two")} == {
        key: bought[key] for key in ("one", "two")
    }


def test_a_free_shield_asks_the_host_for_no_coins(
    heist_settings: HeistSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    heist_settings(SHIELD_COST=0)
    alice = player()
    for name in ("coins", "spend_coins"):
        monkeypatch.setattr(GamificationEconomy, name, mock.Mock(side_effect=AssertionError(name)))

    assert buy_shield(player_id=alice.pk).cost == 0


def test_the_hosts_lock_never_hears_of_an_unknown_player(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may create a row for whatever key it gets."""
    alice, lock = player(coins=50), mock.Mock()
    monkeypatch.setattr(GamificationEconomy, "lock", lock)

    with pytest.raises(errors.UnknownPlayer):
        buy_shield(player_id=alice.pk + 999)

    lock.assert_not_called()


def test_a_player_who_is_deleted_before_the_lock_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = player(coins=50)

    def delete(self: Any, *player_ids: Any) -> None:
        alice.delete()

    monkeypatch.setattr(GamificationEconomy, "lock", delete)

    with pytest.raises(errors.UnknownPlayer):
        buy_shield(player_id=alice.pk)


def test_a_player_of_a_host_without_active_accounts_may_buy(monkeypatch: pytest.MonkeyPatch) -> None:
    alice = player(coins=50)
    rows = mock.MagicMock()
    rows.using().filter().first.return_value = SimpleNamespace(pk=alice.pk)
    monkeypatch.setattr(GamificationEconomy, "players", lambda self: rows)

    assert buy_shield(player_id=alice.pk).player_id == alice.pk


def test_a_purchase_neither_sees_nor_marks_the_shields_of_others(frozen: None) -> None:
    alice, bob, cid = player(coins=50), player(), player(coins=50)
    theirs, live = over(bob), buy_shield(player_id=cid.pk)

    mine = buy_shield(player_id=alice.pk)

    for untouched in (theirs, live):
        untouched.refresh_from_db()
        assert untouched.expired_at is None
    assert Shield.objects.get(player=alice) == mine
    assert not HeistNotification.objects.exists()


@pytest.mark.parametrize("case", ["bought", "renewed", "replayed", "replayed while off", "expired"])
def test_every_statement_goes_to_the_database_of_the_shields(
    settings: Any, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    alice = player(coins=100, email="alice@example.com")
    if case in ("renewed", "expired"):
        over(alice)
    if case.startswith("replayed"):
        buy_shield(player_id=alice.pk, idempotency_key="k")
    RuleSetQuerySet.clear_cache()
    only(Shield, settings, monkeypatch)
    settings.HEISTS = {**settings.HEISTS, "ENABLED": case != "replayed while off"}

    if case == "expired":
        assert expire_shields() == 1
    else:
        assert buy_shield(player_id=alice.pk, idempotency_key="k").player_id == alice.pk


def test_an_expiry_is_recorded_at_its_moment_and_names_its_shield(frozen: None) -> None:
    bob, cid = player(), player()
    shield, other = over(bob), Shield.objects.create(player=cid, cost=0, bought_at=NOW, expires_at=NOW + HOUR)

    assert expire_shields() == 1

    for row in (shield, other):
        row.refresh_from_db()
    assert (shield.expired_at, other.expired_at) == (NOW, None)
    notification = HeistNotification.objects.get()
    assert (notification.user_id, notification.created_at) == (bob.pk, NOW)
    assert notification.metadata is not None
    assert notification.metadata["shield_id"] == shield.pk
    assert dt.datetime.fromisoformat(str(notification.metadata["expired_at"])) == NOW - HOUR


def test_the_longest_expired_are_first_and_each_batch_is_counted(frozen: None) -> None:
    shields_by_age = [over(player(), hours * HOUR) for hours in (1, 3, 5, 2, 4)]
    seen: list[Any] = []

    def note(marked: int) -> None:
        done = Shield.objects.using("default").exclude(expired_at=None)
        seen.append((marked, sorted((NOW - shield.expires_at) // HOUR for shield in done)))

    assert expire_shields(batch=2, on_batch=note) == len(shields_by_age)

    assert seen == [(2, [4, 5]), (2, [2, 3, 4, 5]), (1, [1, 2, 3, 4, 5])]


@pytest.mark.parametrize("change", [{"used_at": NOW}, {"expired_at": NOW - HOUR}])
def test_a_shield_that_changed_after_it_was_read_is_judged_again(frozen: None, change: dict[str, Any]) -> None:
    mine, other = over(player()), over(player())

    def then_changed() -> Iterator[Shield]:
        yield mine
        Shield.objects.filter(pk=mine.pk).update(**change)

    with pytest.raises(StaleRead):
        shields._expire(then_changed(), NOW, get_economy(), "default")

    other.refresh_from_db()
    assert other.expired_at is None
    assert not HeistNotification.objects.exists()


def test_receivers_get_each_shield_as_it_is_stored(frozen: None, django_capture_on_commit_callbacks: Any) -> None:
    alice = player(coins=50)
    old = over(alice)
    heard: list[Any] = []

    def expired(sender: Any, shield: Shield, **kwargs: Any) -> None:
        heard.append((sender, shield.pk, shield.expired_at))

    def bought(sender: Any, shield: Shield, **kwargs: Any) -> None:
        heard.append((sender, shield.pk, shield.bought_at))

    signals.shield_expired.connect(expired)
    signals.shield_bought.connect(bought)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            new = buy_shield(player_id=alice.pk)
    finally:
        signals.shield_expired.disconnect(expired)
        signals.shield_bought.disconnect(bought)

    assert heard == [(Shield, old.pk, NOW), (Shield, new.pk, NOW)]


@pytest.mark.django_db(transaction=True)
def test_a_signal_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, sent = player(coins=50), mock.Mock(side_effect=OSError("disk full"))
    over(alice)
    monkeypatch.setattr(signals.shield_expired, "send_robust", sent)
    monkeypatch.setattr(signals.shield_bought, "send_robust", sent)
    later: list[str] = []
    spend = GamificationEconomy.spend_coins

    def then_hook(self: Any, *args: Any, **kwargs: Any) -> None:
        spend(self, *args, **kwargs)
        # Django runs the hooks in this order: the expiry's, this one, the purchase's.
        from django.db import transaction

        transaction.on_commit(lambda: later.append("hook"))

    monkeypatch.setattr(GamificationEconomy, "spend_coins", then_hook)
    with mock.patch("heists.db.atomic.logger.exception") as logged:
        buy_shield(player_id=alice.pk)

    assert (sent.call_count, later) == (2, ["hook"])
    # Django itself logs the failure of a robust hook.
    logged.assert_not_called()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", [None, "a key"])
def test_a_purchase_whose_commit_is_not_answered_is_repeated_only_with_a_key(
    monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    alice = player(coins=100)
    shield = buy_shield(player_id=alice.pk)
    Shield.objects.update(used_at=shield.bought_at)
    lose_the_answer(monkeypatch)

    if key:
        assert buy_shield(player_id=alice.pk, idempotency_key=key).idempotency_key == key
    else:
        with pytest.raises(errors.OutcomeUnknown):
            buy_shield(player_id=alice.pk)

    assert (Shield.objects.count(), CoinEntry.objects.filter(amount=-50).count()) == (2, 2)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", [None, "a key"])
def test_a_purchase_that_fails_at_commit_for_others_is_done_again(
    monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    alice = player(coins=100)
    shield = buy_shield(player_id=alice.pk)
    Shield.objects.update(used_at=shield.bought_at)
    fail_the_commit(monkeypatch, "40001")

    assert buy_shield(player_id=alice.pk, idempotency_key=key).idempotency_key == key

    assert (Shield.objects.count(), CoinEntry.objects.filter(amount=-50).count()) == (2, 2)


@pytest.mark.django_db(transaction=True)
def test_an_expiry_whose_commit_is_not_answered_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    over(player())
    lose_the_answer(monkeypatch)

    # The first batch was committed, so that the second attempt has nothing to do.
    assert expire_shields() == 0
    assert HeistNotification.objects.count() == 1


@pytest.mark.postgresql
def test_an_expiry_locks_the_shields_alone_and_waits_for_none(frozen: None) -> None:
    over(player())

    with CaptureQueriesContext(connection) as statements:
        assert expire_shields(batch=7) == 1

    [lock, again] = [one["sql"] for one in statements if "FOR UPDATE" in one["sql"]]
    assert lock == again
    assert lock.endswith('LIMIT 7 FOR UPDATE OF "heists_shield" SKIP LOCKED')


def test_a_transaction_marks_200_shields_at_most() -> None:
    with CaptureQueriesContext(connection) as statements:
        assert expire_shields() == 0

    assert [one["sql"] for one in statements if "LIMIT 200" in one["sql"]]
