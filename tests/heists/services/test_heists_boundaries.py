"""What execute_heist writes and locks, to the last column; what it leaves alone; and in which order it locks."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from heists import conf, signals
from heists.choices import FailureCode, HeistStatus
from heists.economy import get_economy
from heists.errors import IdempotencyKeyReused, OutcomeUnknown
from heists.models import Heist, HeistNotification, HeistToken, RuleSet, RuleSetQuerySet, Shield
from heists.queries import facts
from heists.services import execute_heist, heists
from tests.factories import player, points_of, tokens_of

from .elsewhere import only
from .lost_answers import fail_the_commit, lose_the_answer

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)
NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)


@pytest.fixture
def frozen() -> Iterator[None]:
    with mock.patch("django.utils.timezone.now", lambda: NOW):
        yield


def shield_of(owner: Any, *, hours: float = 1, **fields: Any) -> Shield:
    return Shield.objects.create(player=owner, cost=50, bought_at=NOW - HOUR, expires_at=NOW + hours * HOUR, **fields)


def test_a_success_spends_the_attackers_token_alone_and_at_its_own_time(frozen: None, settings: Any) -> None:
    settings.HEISTS = {**settings.HEISTS, "TOKEN_COST": 2}
    alice, bob, cid = player(tokens=5), player(points=1000, tokens=5), player(tokens=5)
    HeistToken.objects.update(updated_at=NOW - 50 * HOUR, last_spent_at=None)
    before = HeistToken.objects.order_by("pk").exclude(user=alice).values()

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    others = list(before)
    spent = tokens_of(alice)
    assert (spent.balance, spent.total_earned, spent.total_spent) == (3, 5, 2)
    assert spent.last_spent_at == spent.updated_at == heist.created_at == NOW
    assert [(row["user_id"], row["balance"], row["total_spent"], row["updated_at"]) for row in others] == [
        (bob.pk, 5, 0, NOW - 50 * HOUR),
        (cid.pk, 5, 0, NOW - 50 * HOUR),
    ]
    in_memory = heist.attacker_token
    assert (in_memory.balance, in_memory.total_spent) == (3, 2)
    assert in_memory.last_spent_at == in_memory.__dict__["updated_at"] == NOW


def test_the_row_of_a_rejection_has_every_column(frozen: None, settings: Any) -> None:
    alice, bob = player(points=7, tokens=4), player(points=19)

    with translation.override("de"):
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, ip_address="192.0.2.9", idempotency_key="a key")

    heist.refresh_from_db()
    assert (heist.attacker_id, heist.victim_id, heist.created_at) == (alice.pk, bob.pk, NOW)
    assert (heist.ip_address, heist.idempotency_key) == ("192.0.2.9", "a key")
    assert (heist.status, heist.failure_code) == ("FAILED_INSUFFICIENT_POINTS", "insufficient_points")
    assert (heist.token_spent, heist.points_stolen, heist.attacker_tokens) == (False, 0, 4)
    assert (heist.victim_points_before, heist.victim_points_after) == (19, 19)
    assert (heist.attacker_points_before, heist.attacker_points_after) == (7, 7)
    with translation.override(settings.LANGUAGE_CODE):
        from heists.messages import failure_message

        assert heist.failure_reason == failure_message(FailureCode.INSUFFICIENT_POINTS, None)
    assert heist.failure_reason and heist.failure_reason.isascii()
    assert not HeistNotification.objects.filter(heist=heist).exists()


def test_the_tokens_of_an_outcome_are_those_before_it(frozen: None) -> None:
    alice, bob = player(tokens=3), player(points=1000)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    heist.refresh_from_db()
    assert heist.attacker_tokens == 3


def test_a_blocked_attack_uses_the_victims_live_shield_alone(frozen: None) -> None:
    alice, bob, cid = player(tokens=1, points=1), player("bob", points=1000), player(points=1000)
    # Used and marked ones of the same player, and a live one of another.
    used = shield_of(bob, used_at=NOW - HOUR / 2)
    marked = Shield.objects.create(
        player=bob, cost=50, bought_at=NOW - 9 * HOUR, expires_at=NOW - HOUR, expired_at=NOW - HOUR / 2
    )
    live, other = shield_of(bob), shield_of(cid)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    live.refresh_from_db()
    assert (live.used_at, live.used_by_id) == (NOW, heist.pk)
    assert list(Shield.objects.filter(used_by=heist)) == [live]
    for untouched, used_at in ((used, NOW - HOUR / 2), (marked, None), (other, None)):
        untouched.refresh_from_db()
        assert (untouched.used_at, untouched.used_by_id) == (used_at, None)
    assert (points_of(alice), points_of(bob), tokens_of(alice).balance) == (1, 1000, 0)
    [notification] = HeistNotification.objects.filter(heist=heist)
    assert (notification.user_id, notification.type, notification.created_at) == (bob.pk, "SHIELD_ACTIVATED", NOW)
    assert notification.metadata == {
        "attacker_id": alice.pk,
        "attacker_name": alice.username,
        "victim_id": bob.pk,
        "victim_name": "bob",
    }


def test_a_shield_is_over_exactly_at_its_end(frozen: None) -> None:
    bob = player(points=1000)
    shield = shield_of(bob, hours=0)

    heist = execute_heist(attacker_id=player(tokens=1).pk, victim_id=bob.pk)

    shield.refresh_from_db()
    assert (heist.status, shield.used_at) == (HeistStatus.SUCCESS, None)


@pytest.mark.parametrize("change", [{"expired_at": NOW}, {"used_at": NOW}])
def test_a_shield_that_was_marked_meanwhile_makes_the_attempt_start_again(
    frozen: None, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    bob, calls = player(points=1000), []
    shield = shield_of(bob)
    fetch = facts.FactsQuery.fetch

    def then_mark(self: Any, now: dt.datetime) -> facts.Facts:
        found = fetch(self, now)
        calls.append(now)
        if len(calls) in (2, 4, 6, 8):
            # Undone with the transaction that fails. Four times, which is more than a broken constraint is retried.
            Shield.objects.filter(pk=shield.pk).update(**change)
        return found

    monkeypatch.setattr(facts.FactsQuery, "fetch", then_mark)
    heist = execute_heist(attacker_id=player(tokens=1).pk, victim_id=bob.pk)

    shield.refresh_from_db()
    assert (len(calls), heist.status, shield.used_by_id) == (10, HeistStatus.FAILED_SHIELD, heist.pk)


@pytest.mark.parametrize(
    "change",
    [
        {"balance": 5, "total_earned": 5},
        {"balance": 0, "total_spent": 1},
        {"total_earned": 2, "total_spent": 1},
    ],
)
def test_a_token_row_that_changed_meanwhile_makes_the_attempt_start_again(
    frozen: None, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    alice, bob, calls = player(tokens=1), player(points=1000), []
    fetch = facts.FactsQuery.fetch

    def then_change(self: Any, now: dt.datetime) -> facts.Facts:
        found = fetch(self, now)
        calls.append(now)
        if len(calls) in (2, 4, 6, 8):
            # Undone with the transaction that fails. Four times, which is more than a broken constraint is retried.
            HeistToken.objects.filter(user=alice).update(**change)
        return found

    monkeypatch.setattr(facts.FactsQuery, "fetch", then_change)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert (len(calls), heist.status, tokens_of(alice).balance) == (10, HeistStatus.SUCCESS, 0)


@pytest.mark.parametrize("shielded", [False, True])
def test_what_changed_before_the_lock_decides(frozen: None, monkeypatch: pytest.MonkeyPatch, shielded: bool) -> None:
    from gamification.models import PlayerProfile

    alice, bob = player(tokens=1), player(points=1000)
    if shielded:
        shield_of(bob)
    lock = type(get_economy()).lock

    def late(self: Any, *ids: Any) -> None:
        lock(self, *ids)
        PlayerProfile.objects.filter(user=bob).update(monthly_points=15)

    monkeypatch.setattr(type(get_economy()), "lock", late)
    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    heist.refresh_from_db()
    assert (heist.failure_code, heist.victim_points_before, heist.token_spent) == ("insufficient_points", 15, False)
    assert (tokens_of(alice).balance, tokens_of(alice).last_spent_at) == (1, None)
    # The shield is the last question: it is not used up by an attack that another rule rejects.
    assert not Shield.objects.exclude(used_at=None).exists()
    assert not HeistNotification.objects.filter(heist=heist).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", [None, "a key"])
def test_a_heist_whose_commit_is_not_answered_is_repeated_only_with_a_key(
    monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    alice, bob = player(tokens=2), player(points=1000)
    # A transaction of its own, once for each set of rules.
    RuleSet.objects.in_force(conf.rules())
    lose_the_answer(monkeypatch)

    if key:
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key=key)
        assert (heist.status, heist.points_stolen) == (HeistStatus.SUCCESS, 50)
    else:
        with pytest.raises(OutcomeUnknown):
            execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert (Heist.objects.count(), tokens_of(alice).balance, points_of(alice), points_of(bob)) == (1, 1, 50, 950)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", [None, "a key"])
@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_heist_that_fails_at_commit_for_others_is_done_again(
    monkeypatch: pytest.MonkeyPatch, key: str | None, code: str
) -> None:
    alice, bob = player(tokens=2), player(points=1000)
    # A transaction of its own, once for each set of rules.
    RuleSet.objects.in_force(conf.rules())
    fail_the_commit(monkeypatch, code)

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key=key)

    assert (heist.status, Heist.objects.get()) == (HeistStatus.SUCCESS, heist)
    assert (tokens_of(alice).balance, points_of(alice), points_of(bob)) == (1, 50, 950)


@pytest.mark.parametrize("key", [None, "a key"])
def test_an_error_of_the_host_is_raised_as_it_is_and_asks_nothing_more(
    monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    execute_heist(attacker_id=bob.pk, victim_id=alice.pk)
    cached = dict(RuleSetQuerySet.cache)
    monkeypatch.setattr(type(get_economy()), "transfer", mock.Mock(side_effect=ZeroDivisionError))

    with CaptureQueriesContext(connection) as statements, pytest.raises(ZeroDivisionError):
        execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key=key)

    assert RuleSetQuerySet.cache == cached
    assert statements[-1]["sql"].startswith(("ROLLBACK", "RELEASE"))
    assert tokens_of(alice).balance == 1


@pytest.mark.postgresql
@pytest.mark.parametrize("older_attacks", [True, False])
def test_both_balances_are_locked_in_primary_key_order_before_anything_is_written(older_attacks: bool) -> None:
    older, younger = player(points=1000, tokens=1), player(points=1000, tokens=1)
    attacker, victim = (older, younger) if older_attacks else (younger, older)
    execute_heist(attacker_id=player().pk, victim_id=player().pk)

    with CaptureQueriesContext(connection) as statements:
        heist = execute_heist(attacker_id=attacker.pk, victim_id=victim.pk)

    assert heist.failure_code is None
    sql = [one["sql"] for one in statements]
    locks = [statement for statement in sql if "FOR UPDATE" in statement or "FOR NO KEY UPDATE" in statement]
    assert len(locks) == 1
    ordered = locks[0].upper()
    assert ordered.index("ORDER BY") < ordered.index("FOR ", ordered.index("ORDER BY"))
    assert "USER_ID" in ordered[ordered.index("ORDER BY") :] and "DESC" not in ordered
    assert str(older.pk) in locks[0] and str(younger.pk) in locks[0]
    writes = [n for n, statement in enumerate(sql) if statement.lstrip().startswith(("INSERT", "UPDATE"))]
    reads = [n for n, statement in enumerate(sql) if "heists_heist" in statement and statement.startswith("SELECT")]
    assert reads[0] < sql.index(locks[0]) < reads[-1] < min(writes)


@pytest.mark.parametrize("case", ["success", "shield", "rejection", "first attempt", "replay", "another victim"])
def test_every_statement_goes_to_the_database_of_the_heists(
    settings: Any, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    alice, bob, cid = player(tokens=2), player(points=1000), player(points=5, email="c@example.com")
    nobody = player()
    if case == "shield":
        Shield.objects.create(player=bob, cost=50, expires_at=timezone.now() + HOUR)
    if case in ("replay", "another victim"):
        execute_heist(attacker_id=alice.pk, victim_id=cid.pk, idempotency_key="k")
    RuleSetQuerySet.clear_cache()
    # Compiled for one database, and kept.
    heists._heist_of_key.cache_clear()
    only(Heist, settings, monkeypatch)

    if case in ("success", "shield"):
        heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")
        assert heist.is_outcome
    elif case == "another victim":
        with pytest.raises(IdempotencyKeyReused):
            execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")
    else:
        robber = nobody if case == "first attempt" else alice
        heist = execute_heist(attacker_id=robber.pk, victim_id=cid.pk, idempotency_key="k")
        assert heist.failure_code in ("insufficient_points", "insufficient_tokens")
    assert Heist.objects.using("default").count() == 1


def test_a_replay_finds_the_heist_of_this_player_and_this_key_alone() -> None:
    alice, bob, cid = player(tokens=9), player(points=1000, tokens=9), player(points=5)
    for robber in (bob, alice):
        for key in ("one", "two", "three"):
            execute_heist(attacker_id=robber.pk, victim_id=cid.pk, idempotency_key=key)
    rows = {(heist.attacker_id, heist.idempotency_key): heist.pk for heist in Heist.objects.all()}

    for robber in (alice, bob):
        for key in ("one", "two", "three"):
            again = execute_heist(attacker_id=robber.pk, victim_id=cid.pk, idempotency_key=key)
            assert again.pk == rows[robber.pk, key]

    assert Heist.objects.count() == 6


def test_a_replay_is_read_with_all_that_an_answer_needs(django_assert_num_queries: Any) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")
    again = execute_heist(attacker_id=alice.pk, victim_id=bob.pk, idempotency_key="k")

    with django_assert_num_queries(0):
        assert (again.attacker, again.victim, again.attacker_token.balance) == (alice, bob, 0)
        assert again.rule_set.rules.token_cost == 1


def test_the_log_line_and_its_fields_name_the_attempt(caplog: Any, django_capture_on_commit_callbacks: Any) -> None:
    alice, bob = player(tokens=1), player(points=1000)

    with caplog.at_level(logging.INFO, "heists"), django_capture_on_commit_callbacks(execute=True):
        won = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
        lost = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    lines = [record for record in caplog.records if hasattr(record, "heist_id")]
    shared = ("heist_id", "attacker_id", "victim_id", "status", "failure_code", "points_stolen")
    assert [tuple(getattr(line, name) for name in shared) for line in lines] == [
        (won.pk, alice.pk, bob.pk, "SUCCESS", "-", 50),
        (lost.pk, alice.pk, bob.pk, "FAILED_INSUFFICIENT_TOKENS", "insufficient_tokens", 0),
    ]
    assert lines[0].getMessage() == (
        f"heist={won.pk} attacker={alice.pk} victim={bob.pk} status=SUCCESS code=- points=50"
    )


@pytest.mark.django_db(transaction=True)
def test_a_failing_log_handler_does_not_fail_a_heist_that_is_committed(monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = player(tokens=1), player(points=1000)
    monkeypatch.setattr("heists.services.heists.logger.info", mock.Mock(side_effect=OSError("disk full")))

    heist = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    rejected = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)

    assert (heist.status, rejected.failure_code) == (HeistStatus.SUCCESS, "insufficient_tokens")


def test_receivers_get_the_heist(django_capture_on_commit_callbacks: Any) -> None:
    heard: list[Any] = []

    def listen(sender: Any, heist: Heist, **kwargs: Any) -> None:
        heard.append((sender, heist.pk))

    signals.heist_attempted.connect(listen)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            heist = execute_heist(attacker_id=player().pk, victim_id=player().pk)
    finally:
        signals.heist_attempted.disconnect(listen)

    assert heard == [(Heist, heist.pk)]
