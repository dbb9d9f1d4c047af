"""The audit names what the owner of the database can do after turning the triggers off, and nothing else."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, models
from django.utils import timezone

from gamification.demo.build import seed_demo
from gamification.models import MonthlyStanding, PlayerProfile, PointEvent
from heists.choices import GrantReason
from heists.models import AttemptLog, Heist, HeistNotification, Shield, TokenGrant
from heists.services import buy_shield, execute_heist, grant_tokens, prune, reverse_heist, take_back
from tests.factories import player, without_triggers

PAST_MONTH = dt.date(2026, 1, 1)


def run(sql: str, *params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def audited() -> dict[str, int]:
    """Return the differences that the command reports, counted by code."""
    out = StringIO()
    with suppress(SystemExit):
        call_command("audit_heists", stdout=out)
    counts: dict[str, int] = {}
    for line in out.getvalue().splitlines()[:-1]:
        code = line.split(":")[0]
        counts[code] = counts.get(code, 0) + 1
    return counts


@pytest.fixture
def world(db: None) -> SimpleNamespace:
    alice, bob = player("alice", points=500, tokens=3), player("bob", points=1000, coins=500)
    carol, dora = player("carol", points=100, tokens=1), player("dora", points=300, coins=500)
    shield = buy_shield(player_id=dora.pk)
    success = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    blocked = execute_heist(attacker_id=carol.pk, victim_id=dora.pk)
    rejection = execute_heist(attacker_id=alice.pk, victim_id=dora.pk)
    spare = buy_shield(player_id=bob.pk)
    PointEvent.objects.create(user=bob, type_id="CHECKIN", points=7, month=PAST_MONTH)
    MonthlyStanding.objects.create(player=bob, month=PAST_MONTH, points=7)
    assert audited() == {}
    return SimpleNamespace(
        alice=alice, bob=bob, success=success, blocked=blocked, rejection=rejection, shield=shield, spare=spare
    )


@pytest.mark.parametrize("kind", ["success", "blocked", "rejection"])
@pytest.mark.parametrize("thorough", [False, True], ids=["heist alone", "with its notifications"])
def test_a_deleted_heist_is_named(world: SimpleNamespace, kind: str, thorough: bool) -> None:
    heist = getattr(world, kind)

    with without_triggers():
        run("UPDATE heists_shield SET used_by_id = NULL WHERE used_by_id = %s", heist.pk)
        if thorough:
            run("DELETE FROM heists_outboxemail")
            run("DELETE FROM heists_heistnotification WHERE heist_id = %s", heist.pk)
        run("UPDATE heists_heistnotification SET heist_id = NULL WHERE heist_id = %s", heist.pk)
        run("DELETE FROM heists_heist WHERE id = %s", heist.pk)

    found = audited()
    assert found
    # An outcome spent a token; a success also left point events.
    expected = {
        "rejection": {"heist_deleted"},
        "blocked": {"token_spent"},
        "success": {"token_spent", "event_without_heist"},
    }
    assert expected[kind] <= found.keys()


def test_a_heist_deleted_on_sqlite_with_its_triggers_on_is_named(world: SimpleNamespace) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL rejects it")

    run("DELETE FROM heists_heist WHERE id = %s", world.rejection.pk)

    assert audited() == {"heist_deleted": 1}


def insert_a_shield(world: SimpleNamespace) -> None:
    Shield.objects.create(player=world.alice, cost=50, expires_at=timezone.now() + dt.timedelta(days=7))


def insert_an_exact_shield(world: SimpleNamespace) -> None:
    now = timezone.now()
    Shield.objects.create(player=world.alice, cost=50, bought_at=now, expires_at=now + dt.timedelta(days=7))


def lengthen_a_shield(world: SimpleNamespace) -> None:
    Shield.objects.filter(pk=world.spare.pk).update(expires_at=world.spare.expires_at + dt.timedelta(days=1))


def invent_an_event(world: SimpleNamespace) -> None:
    run(
        "INSERT INTO gamification_pointevent (user_id, type, points, reference, created_at, month)"
        " SELECT %s, 'HEIST_GAIN', 5, 'heist:987654', CURRENT_TIMESTAMP, month"
        " FROM gamification_playerprofile WHERE user_id = %s",
        world.alice.pk,
        world.alice.pk,
    )


def raise_a_balance(world: SimpleNamespace) -> None:
    PlayerProfile.objects.filter(user=world.bob).update(monthly_points=100_000)


def book_into_a_past_month(world: SimpleNamespace) -> None:
    PointEvent.objects.create(user=world.alice, type_id="CHECKIN", points=1, month=PAST_MONTH)


def lose_a_standing(world: SimpleNamespace) -> None:
    models.QuerySet.delete(MonthlyStanding.objects.filter(player=world.bob))


def keep_a_month_twice(world: SimpleNamespace) -> None:
    profile = PlayerProfile.objects.get(user=world.bob)
    MonthlyStanding.objects.create(player=world.bob, month=profile.month, points=1)


TAMPERINGS: list[tuple[Callable[[SimpleNamespace], None], set[str]]] = [
    (insert_a_shield, {"shield_terms", "shield_unpaid"}),
    (insert_an_exact_shield, {"shield_unpaid"}),
    (lengthen_a_shield, {"shield_terms"}),
    (invent_an_event, {"event_without_heist", "balance_ledger", "month_ledger"}),
    (raise_a_balance, {"balance_ledger", "month_ledger"}),
    (book_into_a_past_month, {"month_ledger"}),
    (lose_a_standing, {"month_ledger"}),
    (keep_a_month_twice, {"month_ledger"}),
]


@pytest.mark.parametrize(("tamper", "codes"), TAMPERINGS, ids=[tamper.__name__ for tamper, _codes in TAMPERINGS])
def test_a_tampering_is_named(
    world: SimpleNamespace, tamper: Callable[[SimpleNamespace], None], codes: set[str]
) -> None:
    tamper(world)

    assert audited().keys() == codes


@pytest.fixture
def corrected(world: SimpleNamespace) -> SimpleNamespace:
    """The world after staff returned the points and the token of the success, and took a grant back."""
    world.reversal = reverse_heist(heist_id=world.success.pk, reversed_by=None, reason="a bug", return_token=True)
    world.grant = TokenGrant.objects.get(player=world.blocked.attacker)
    grant = grant_tokens(player=world.bob, amount=2, reason=GrantReason.STAFF, source="s")
    take_back(grant=grant, by=None, reason="a mistake")
    assert audited() == {}
    return world


def delete_a_reversal(world: SimpleNamespace) -> None:
    run("DELETE FROM heists_reversal")


def return_more(world: SimpleNamespace) -> None:
    run(
        "UPDATE heists_reversal SET points_returned = points_returned - 1,"
        " attacker_points_after = attacker_points_after + 1, victim_points_after = victim_points_after - 1"
    )


def reverse_another_heist(world: SimpleNamespace) -> None:
    run("UPDATE heists_reversal SET heist_id = %s", world.blocked.pk)


def reverse_later(world: SimpleNamespace) -> None:
    run("UPDATE heists_reversal SET created_at = '2096-01-01 00:00:00+00:00'")


def invent_an_event_of_a_reversal(world: SimpleNamespace) -> None:
    run(
        "INSERT INTO gamification_pointevent (user_id, type, points, reference, created_at, month)"
        " SELECT %s, 'HEIST_LOSS', 5, %s, CURRENT_TIMESTAMP, month"
        " FROM gamification_playerprofile WHERE user_id = %s",
        world.bob.pk,
        f"reversal:{world.success.pk}",
        world.bob.pk,
    )


def keep_a_refund_secret(world: SimpleNamespace) -> None:
    run("UPDATE heists_reversal SET token_returned = FALSE")


def correct_somebody_else(world: SimpleNamespace) -> None:
    run("UPDATE heists_tokengrant SET source = %s WHERE amount < 0", f"correction:{world.grant.pk}")


def undo_a_correction(world: SimpleNamespace) -> None:
    run("DELETE FROM heists_tokengrant WHERE amount < 0")


CORRECTED: list[tuple[Callable[[SimpleNamespace], None], set[str]]] = [
    (delete_a_reversal, {"transfer_events", "notification_stray", "notification_points", "reversal_token"}),
    (return_more, {"transfer_events", "notification_points", "reversal_amount"}),
    (
        reverse_another_heist,
        {
            *("reversal_heist", "reversal_amount", "reversal_token", "transfer_events"),
            *("notification_stray", "notification_missing", "notification_points"),
        },
    ),
    (reverse_later, {"reversal_month"}),
    (invent_an_event_of_a_reversal, {"transfer_events", "balance_ledger", "month_ledger"}),
    (keep_a_refund_secret, {"reversal_token"}),
    (correct_somebody_else, {"correction_grant"}),
    (undo_a_correction, {"token_earned", "token_balance"}),
]


@pytest.mark.parametrize(("tamper", "codes"), CORRECTED, ids=[tamper.__name__ for tamper, _codes in CORRECTED])
def test_a_tampering_with_what_staff_did_is_named(
    corrected: SimpleNamespace, tamper: Callable[[SimpleNamespace], None], codes: set[str]
) -> None:
    with without_triggers():
        tamper(corrected)

    assert audited().keys() == codes


@pytest.mark.django_db(transaction=True)
def test_deletions_retention_and_a_flush_leave_no_difference(settings: Any) -> None:
    settings.HEISTS = settings.HEISTS | {
        "RETENTION_READ_DAYS": 20,
        "RETENTION_UNREAD_DAYS": 25,
        "RETENTION_ADDRESS_DAYS": 10,
    }
    seed_demo(players=60, heists=2000)
    assert audited() == {}

    for user in get_user_model().objects.filter(heists_as_victim__isnull=False).distinct().order_by("pk")[::7]:
        user.delete()
    assert audited() == {}

    if connection.vendor == "postgresql":
        run("DELETE FROM knox_authtoken")
        run("DELETE FROM auth_user WHERE id = (SELECT min(attacker_id) FROM heists_heist)")
        assert audited() == {}

    pruned = prune()
    assert pruned.notifications
    assert pruned.addresses
    assert Heist.objects.exists()
    assert audited() == {}

    call_command("flush", interactive=False, verbosity=0)
    assert audited() == {}
    assert not AttemptLog.objects.exists()


def test_a_host_without_the_optional_hooks_is_reported_as_skipped(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hook in ("all_point_events", "shield_payments", "ledger_balances"):
        monkeypatch.setattr(f"gamification.economy.GamificationEconomy.{hook}", lambda self, *args: None)
    out = StringIO()

    call_command("audit_heists", stdout=out)

    for code in ("event_without_heist", "shield_unpaid", "balance_ledger"):
        assert f"{code}: skipped, the economy " in out.getvalue()
    assert HeistNotification.objects.exists()
