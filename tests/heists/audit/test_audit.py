"""The audit reports every corrupted row, and nothing where all rows are correct."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from io import StringIO
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gamification.models import CoinEntry, CoinReason
from heists import audit
from heists.models import (
    Heist,
    HeistNotification,
    OutboxEmail,
    Reversal,
    RuleChange,
    RuleSet,
    Shield,
    TokenGrant,
    Truce,
)
from heists.rules import RULE_FIELDS, Rules
from heists.services import execute_heist, reverse_heist, take_back
from tests.factories import player
from tests.heists.services.elsewhere import Elsewhere

# What is corrupted, by the check that has to name it. The names in braces are attributes of `world`.
CORRUPTIONS: dict[str, str] = {
    # constraints
    "heists_token_never_negative": (
        "UPDATE heists_heisttoken SET balance = -1, total_spent = total_earned + 1 {of_alice}"
    ),
    "heists_token_balance_adds_up": "UPDATE heists_heisttoken SET balance = balance + 1 {of_alice}",
    "heists_grant_only_correction_takes": "UPDATE heists_tokengrant SET amount = 0 WHERE player_id = {alice}",
    "heists_grant_reason_known": "UPDATE heists_tokengrant SET reason = 'THEFT' WHERE player_id = {alice}",
    "heists_heist_status_known": "UPDATE heists_heist SET status = 'WON' WHERE id = {success}",
    "heists_heist_failure_code_known": "UPDATE heists_heist SET failure_code = 'luck' WHERE id = {cooldown}",
    "heists_heist_never_negative": "UPDATE heists_heist SET victim_points_after = -5 WHERE id = {success}",
    "heists_heist_transfer_balanced": "UPDATE heists_heist SET attacker_points_after = 9999 WHERE id = {success}",
    "heists_heist_only_success_steals": "UPDATE heists_heist SET points_stolen = 1 WHERE id = {blocked}",
    "heists_heist_outcome_spends_token": "UPDATE heists_heist SET token_spent = {true} WHERE id = {cooldown}",
    "heists_heist_not_oneself": "UPDATE heists_heist SET victim_id = attacker_id WHERE id = {success}",
    "heists_heist_idempotency_key": "UPDATE heists_heist SET idempotency_key = 'k' WHERE attacker_id = {alice}",
    "heists_reversal_returns_points": "UPDATE heists_reversal SET points_returned = 0",
    "heists_reversal_never_negative": "UPDATE heists_reversal SET attacker_points_after = -1",
    "heists_reversal_balanced": "UPDATE heists_reversal SET victim_points_after = victim_points_after + 1",
    "heists_notification_type_known": "UPDATE heists_heistnotification SET type = 'GOSSIP' WHERE id = {note}",
    "heists_notification_sent_has_time": (
        "UPDATE heists_heistnotification SET email_sent = {true}, email_sent_at = NULL WHERE id = {note}"
    ),
    "heists_shield_one_live": (
        "UPDATE heists_shield SET player_id = {dora}, used_at = NULL, used_by_id = NULL, expired_at = NULL"
    ),
    "heists_shield_idempotency_key": "UPDATE heists_shield SET player_id = {dora}, idempotency_key = 'k'",
    "heists_shield_used_or_expired": "UPDATE heists_shield SET expired_at = expires_at WHERE id = {used}",
    "heists_shield_used_has_time": "UPDATE heists_shield SET used_at = NULL WHERE id = {used}",
    "heists_shield_lasts": "UPDATE heists_shield SET expires_at = bought_at WHERE id = {expired}",
    "heists_outboxemail_state_known": "UPDATE heists_outboxemail SET state = 'LOST' WHERE id = {email}",
    "heists_rulechange_kind_known": "UPDATE heists_rulechange SET enabled = {true} WHERE kind = 'RULES'",
    "heists_truce_one_open": "UPDATE heists_truce SET player_id = {frank}, ends_at = NULL",
    "heists_truce_ends_later": "UPDATE heists_truce SET ends_at = '2001-01-01 00:00:00+00:00' WHERE id = {over}",
    # rule changes
    "rule_change_notice": "UPDATE heists_rulechange SET takes_effect_at = created_at WHERE kind = 'RULES'",
    "heist_rules_in_force": "UPDATE heists_rulechange SET takes_effect_at = '2001-01-01 00:00:00+00:00'",
    "heist_switched_off": (
        "UPDATE heists_rulechange SET enabled = {false}, takes_effect_at = '2001-01-01 00:00:00+00:00' "
        "WHERE kind = 'SWITCH'"
    ),
    "shield_switched_off": (
        "UPDATE heists_rulechange SET enabled = {false}, takes_effect_at = '2001-01-01 00:00:00+00:00' "
        "WHERE kind = 'SWITCH'"
    ),
    # tokens
    "token_earned": "UPDATE heists_tokengrant SET amount = amount + 1 WHERE player_id = {alice}",
    "token_spent": "UPDATE heists_heisttoken SET total_spent = 2, balance = total_earned - 2 {of_alice}",
    "token_balance": "UPDATE heists_heisttoken SET balance = 99 {of_alice}",
    "token_missing_for_grant": "DELETE FROM heists_heisttoken {of_alice}",
    "token_missing_for_attacker": "DELETE FROM heists_heisttoken {of_alice}",
    "token_missing_for_victim": "DELETE FROM heists_heisttoken WHERE user_id = {bob}",
    "token_last_spent": "UPDATE heists_heisttoken SET last_spent_at = '2001-01-01 00:00:00+00:00' {of_alice}",
    "token_last_earned": "UPDATE heists_heisttoken SET last_earned_at = NULL {of_alice}",
    # each heist
    "heist_failure_code": "UPDATE heists_heist SET failure_code = 'shield' WHERE id = {cooldown}",
    "heist_self_target": "UPDATE heists_heist SET victim_id = {bob} WHERE id = {oneself}",
    "heist_enough_points": (
        "UPDATE heists_heist SET victim_points_before = 5, victim_points_after = 5 WHERE id = {blocked}"
    ),
    "heist_amount": (
        "UPDATE heists_heist SET points_stolen = 51, victim_points_after = 949, attacker_points_after = 551"
        " WHERE id = {success}"
    ),
    "heist_amount_short": (
        "UPDATE heists_heist SET points_stolen = 49, victim_points_after = 951, attacker_points_after = 549"
        " WHERE id = {success}"
    ),
    "heist_retry_at": "UPDATE heists_heist SET retry_at = created_at WHERE id = {cooldown}",
    "heist_rejection": "UPDATE heists_heist SET failure_code = 'daily_limit' WHERE id = {cooldown}",
    "heist_loss_limit": (
        "INSERT INTO heists_heist (attacker_id, victim_id, points_stolen, victim_points_before, victim_points_after,"
        " attacker_points_before, attacker_points_after, token_spent, status, rule_set_id, created_at)"
        " SELECT {frank}, victim_id, 90, 950, 860, 0, 90, token_spent, status, rule_set_id, '{later}'"
        " FROM heists_heist WHERE id = {success}"
    ),
    "heist_attacker_tokens": "UPDATE heists_heist SET attacker_tokens = 0 WHERE id = {success}",
    "heist_deleted": "DELETE FROM heists_heist WHERE id = {cooldown}",
    # cooldowns
    "window_cooldown": "UPDATE heists_heist SET attacker_id = {alice} WHERE id = {blocked}",
    "window_protection": "UPDATE heists_heist SET victim_id = {bob} WHERE id = {blocked}",
    "window_pair": "UPDATE heists_heist SET attacker_id = {alice}, victim_id = {bob} WHERE id = {blocked}",
    "window_day": "UPDATE heists_heist SET attacker_id = {alice} WHERE id = {blocked}",
    # truces
    "truce_month": "UPDATE heists_truce SET starts_at = '{later}', ends_at = NULL WHERE id = {over}",
    "truce_overlap": "UPDATE heists_truce SET player_id = {frank}, ends_at = '2036-01-01 00:00:00+00:00'",
    "truce_broken": (
        "UPDATE heists_truce SET player_id = {alice}, starts_at = '2001-01-01 00:00:00+00:00', ends_at = NULL"
        " WHERE id = {over}"
    ),
    # deleted heists
    "loss_kept_unreadable": "UPDATE heists_heisttoken SET losses_on_deleted = '{{}}' WHERE user_id = {bob}",
    "loss_kept_wrong": (
        "UPDATE heists_heisttoken SET losses_on_deleted ="
        ' \'[{{"heist": {success}, "points": 50, "at": "2026-01-01T00:00:00Z"}}]\' WHERE user_id = {bob}'
    ),
    "loss_not_kept": "UPDATE heists_heistnotification SET heist_id = NULL WHERE id = {note}",
    # reversals and corrections
    "reversal_heist": "UPDATE heists_reversal SET heist_id = {blocked}",
    "reversal_month": "UPDATE heists_reversal SET created_at = '2096-01-01 00:00:00+00:00'",
    "reversal_amount": "UPDATE heists_reversal SET points_returned = points_returned - 1",
    "reversal_token": "UPDATE heists_reversal SET token_returned = FALSE",
    "correction_grant": "UPDATE heists_tokengrant SET player_id = {alice} WHERE reason = 'CORRECTION'",
    # side effects
    "transfer_events": "DELETE FROM {events} WHERE reference = 'heist:{success}' AND points < 0",
    "event_without_heist": "UPDATE {events} SET reference = 'heist:99999' WHERE reference = 'heist:{success}'",
    "balance_ledger": "UPDATE gamification_playerprofile SET monthly_points = monthly_points + 1 {of_alice}",
    "month_ledger": "UPDATE gamification_playerprofile SET monthly_points = monthly_points + 1 {of_alice}",
    "notification_missing": "UPDATE heists_heistnotification SET heist_id = NULL WHERE id = {note}",
    "notification_twice": "UPDATE heists_heistnotification SET type = 'HEIST_VICTIM', user_id = {bob}",
    "notification_stray": "UPDATE heists_heistnotification SET heist_id = {cooldown} WHERE id = {note}",
    "notification_points": "UPDATE heists_heistnotification SET metadata = '{{\"points\": 7}}' WHERE id = {note}",
    "grant_notification_missing": "UPDATE heists_heistnotification SET metadata = '{{}}' WHERE type = 'TOKEN_EARNED'",
    "shield_missing": "UPDATE heists_shield SET used_by_id = NULL WHERE id = {used}",
    "shield_used_wrongly": "UPDATE heists_shield SET expires_at = used_at WHERE id = {used}",
    "shield_expired_early": "UPDATE heists_shield SET expired_at = bought_at WHERE id = {expired}",
    "shield_ignored": "UPDATE heists_shield SET player_id = {bob}, used_at = NULL, used_by_id = NULL WHERE id = {used}",
    "shield_terms": "UPDATE heists_shield SET expires_at = '2036-01-01 00:00:00+00:00' WHERE id = {used}",
    "shield_unpaid": "UPDATE heists_shield SET cost = cost + 1 WHERE id = {used}",
    "email_state": "UPDATE heists_outboxemail SET state = 'SENT' WHERE id = {email}",
}
# Unique columns, whose index SQLite builds into the table itself: there, only PostgreSQL can be corrupted.
BUILT_IN = {
    "heists_heisttoken_user_unique": "UPDATE heists_heisttoken SET user_id = {alice}",
    "heists_tokengrant_source_unique": "UPDATE heists_tokengrant SET source = 'same'",
    "heists_shield_used_by_unique": "UPDATE heists_shield SET used_by_id = {blocked}, used_at = bought_at",
    "heists_outboxemail_notification_unique": "UPDATE heists_outboxemail SET notification_id = {note}",
    "heists_truce_one_a_start": "UPDATE heists_truce SET player_id = {frank}, starts_at = '{month}'",
    "heists_rulechange_one_a_moment": (
        "UPDATE heists_rulechange SET kind = 'SWITCH', takes_effect_at = '{month}', rule_set_id = NULL, enabled = TRUE"
    ),
    "heists_reversal_heist_unique": ("INSERT INTO heists_reversal ({reversal}) SELECT {reversal} FROM heists_reversal"),
    "heists_ruleset_unique": (
        "INSERT INTO heists_ruleset ({numbers}, created_at) SELECT {numbers}, created_at FROM heists_ruleset"
    ),
}


@pytest.fixture
def world(db: Any, settings: Any) -> SimpleNamespace:
    """Correct rows with one of everything: a success, a block, rejections, shields, emails."""
    settings.HEISTS = settings.HEISTS | {"PAIR_COOLDOWN_HOURS": 48, "MAX_HEISTS_PER_DAY": 1}
    settings.TIME_ZONE = "Pacific/Auckland"
    alice = player("alice", points=500, tokens=3, email="alice@example.com")
    bob = player("bob", points=1000, tokens=1, email="bob@example.com")
    carol = player("carol", points=100, tokens=1)
    dora = player("dora", points=300)
    frank = player("frank", points=0, tokens=1)
    poor = player("poor", points=5)
    now = timezone.now()
    hour = dt.timedelta(hours=1)
    week = dt.timedelta(days=7)
    used = Shield.objects.create(player=dora, cost=50, bought_at=now - hour, expires_at=now - hour + week)
    expired = Shield.objects.create(
        player=bob, cost=50, bought_at=now - 2 * hour - week, expires_at=now - 2 * hour, expired_at=now - hour
    )
    for shield in (used, expired):
        CoinEntry.objects.create(
            user=shield.player, amount=-50, reason=CoinReason.SHIELD, reference=f"shield:{shield.pk}"
        )

    month = dt.datetime(2020, 1, 1, tzinfo=ZoneInfo("Pacific/Auckland")).astimezone(dt.UTC)
    months = [month, dt.datetime(2020, 1, 31, 11, tzinfo=dt.UTC), dt.datetime(2020, 2, 29, 11, tzinfo=dt.UTC)]
    over = Truce.objects.create(player=frank, starts_at=months[0], ends_at=months[1])
    Truce.objects.create(player=frank, starts_at=months[1], ends_at=months[2])

    def rob(attacker: Any, victim: Any, **options: Any) -> Heist:
        return execute_heist(attacker_id=attacker.pk, victim_id=victim.pk, **options)

    success, blocked = rob(alice, bob, idempotency_key="a"), rob(carol, dora)
    cooldown, oneself = rob(alice, dora), rob(frank, frank)
    rob(poor, bob), rob(frank, bob), rob(frank, poor)
    reversed = rob(player("gus", tokens=1), player("hal", points=1000))
    reverse_heist(heist_id=reversed.pk, reversed_by=None, reason="a bug", note="Sorry.", return_token=True)
    take_back(grant=TokenGrant.objects.get(player=player("ivy", tokens=2)), by=None, reason="the wrong player")
    other = RuleSet.objects.get_or_create(**asdict(Rules(steal_percentage=8)))[0]
    changes = RuleChange.objects
    changes.create(kind="RULES", takes_effect_at=now + hour, rule_set=other, reason="a try", created_at=now)
    changes.create(kind="SWITCH", takes_effect_at=now, enabled=True, reason="mended", created_at=now)
    seen = set(Heist.objects.values_list("failure_code", flat=True))
    assert {
        None,
        "shield",
        "cooldown",
        "self_target",
        "insufficient_tokens",
        "protected",
        "insufficient_points",
    } == seen
    return SimpleNamespace(
        alice=alice.pk,
        bob=bob.pk,
        dora=dora.pk,
        frank=frank.pk,
        of_alice=f"WHERE user_id = {alice.pk}",
        success=success.pk,
        blocked=blocked.pk,
        cooldown=cooldown.pk,
        oneself=oneself.pk,
        note=HeistNotification.objects.get(heist=success, user=bob).pk,
        email=OutboxEmail.objects.filter(notification__heist=success).values_list("pk", flat=True)[0],
        used=used.pk,
        expired=expired.pk,
        over=over.pk,
        month=month.isoformat(sep=" "),
        later=(success.created_at + dt.timedelta(microseconds=1)).isoformat(sep=" "),
        events="gamification_pointevent",
        true="TRUE",
        false="FALSE",
        numbers=", ".join(RULE_FIELDS),
        reversal=", ".join(str(field.column) for field in Reversal._meta.concrete_fields if not field.primary_key),
    )


@pytest.fixture
def corrupted(world: SimpleNamespace, constraints_off: Callable[[], None]) -> Any:
    def corrupt(sql: str) -> SimpleNamespace:
        constraints_off()
        with connection.cursor() as cursor:
            cursor.execute(sql.format(**vars(world)))
        return world

    return corrupt


def found_by(code: str) -> list[audit.Difference]:
    (check,) = [check for check in audit.CHECKS if check.code == code]
    with audit.open_snapshot("default") as data:
        return list(check.differences(data))


def test_correct_rows_have_no_difference(world: SimpleNamespace) -> None:
    out = StringIO()

    call_command("audit_heists", stdout=out)

    assert out.getvalue() == f"8 heists, {len(audit.CHECKS)} checks, 0 skipped: no difference.\n"


def test_an_empty_site_has_no_difference(db: None) -> None:
    out = StringIO()

    call_command("audit_heists", stdout=out)

    assert out.getvalue().startswith("0 heists, ")


@pytest.mark.parametrize("code", CORRUPTIONS)
def test_a_corrupted_row_is_named(code: str, corrupted: Any) -> None:
    assert not found_by(code)

    corrupted(CORRUPTIONS[code])

    differences = found_by(code)
    assert differences, code
    assert all(one.code == code and all(value is not None for value in one.ids.values()) for one in differences)


@pytest.mark.postgresql
@pytest.mark.parametrize("code", BUILT_IN)
def test_a_row_that_is_there_twice_is_named(code: str, corrupted: Any) -> None:
    corrupted(BUILT_IN[code])

    assert found_by(code)


def test_every_check_has_a_corruption_that_it_finds() -> None:
    assert {check.code for check in audit.CHECKS} == CORRUPTIONS.keys() | BUILT_IN.keys()


def test_each_difference_is_printed_with_its_ids_and_numbers_and_the_command_fails(corrupted: Any) -> None:
    world, out = corrupted(CORRUPTIONS["heist_amount"]), StringIO()

    with pytest.raises(SystemExit) as exit:
        call_command("audit_heists", stdout=out)

    assert exit.value.code == 1
    lines = out.getvalue().splitlines()
    assert (
        f"heist_amount: heist {world.success}, victim {world.bob}: points_stolen 51, share 50, rule_set_id" in lines[0]
    )
    assert lines[-1].endswith(" differences.")


def test_machines_read_the_differences_as_json(corrupted: Any) -> None:
    world, out = corrupted(CORRUPTIONS["shield_missing"]), StringIO()

    with pytest.raises(SystemExit):
        call_command("audit_heists", "--json", stdout=out)

    document = json.loads(out.getvalue())
    assert document["counts"] == {"shield_missing": 1}
    assert document["differences"][0]["ids"] == {"heist": world.blocked, "victim": world.dora}


def test_at_most_limit_of_a_kind_are_printed_but_all_are_counted(corrupted: Any) -> None:
    corrupted("UPDATE heists_heisttoken SET last_earned_at = NULL WHERE last_earned_at IS NOT NULL")
    out = StringIO()

    with pytest.raises(SystemExit):
        call_command("audit_heists", "--limit=1", stdout=out)

    lines = out.getvalue().splitlines()
    assert len([line for line in lines if line.startswith("token_last_earned: player")]) == 1
    assert "token_last_earned: 5 more" in lines
    assert lines[-1].endswith(": 6 differences.")


def test_the_audit_finds_nothing_after_either_side_deletes_the_account(world: SimpleNamespace) -> None:
    from django.contrib.auth import get_user_model

    get_user_model().objects.get(pk=world.bob).delete()
    get_user_model().objects.get(pk=world.dora).delete()
    call_command("audit_heists", stdout=StringIO())
    get_user_model().objects.get(pk=world.alice).delete()
    out = StringIO()

    call_command("audit_heists", stdout=out)

    assert "no difference" in out.getvalue()


def test_a_host_without_point_events_is_reported_as_skipped(world: SimpleNamespace, monkeypatch: Any) -> None:
    monkeypatch.setattr("gamification.economy.GamificationEconomy.point_events", lambda self, ids: None)
    out = StringIO()

    call_command("audit_heists", stdout=out)

    assert "transfer_events: skipped, the economy keeps no point events" in out.getvalue()


def test_every_statement_goes_to_the_database_that_is_named(world: SimpleNamespace, settings: Any) -> None:
    out = StringIO()
    settings.DATABASE_ROUTERS = [Elsewhere(Heist)]

    call_command("audit_heists", database="default", stdout=out)

    assert "no difference" in out.getvalue()


def test_the_number_of_statements_does_not_grow_with_the_heists(world: SimpleNamespace) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            call_command("audit_heists", stdout=StringIO())
        return len(queries)

    before, heists = statements(), Heist.objects.count()
    for _ in range(2 * heists):
        execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)

    assert Heist.objects.count() == 3 * heists > 0
    assert statements() == before < 150


def test_as_many_as_the_limit_are_printed_and_none_with_a_limit_of_zero(corrupted: Any) -> None:
    corrupted("UPDATE heists_heisttoken SET last_earned_at = NULL WHERE last_earned_at IS NOT NULL")

    def lines(*options: str) -> list[str]:
        out = StringIO()
        with pytest.raises(SystemExit) as end:
            call_command("audit_heists", *options, stdout=out)
        assert end.value.code == 1
        return [line for line in out.getvalue().splitlines() if line.startswith("token_last_earned:")]

    assert len(lines("--limit=6")) == len(lines()) == 6
    assert not any("more" in line for line in lines("--limit=6"))
    assert lines("--limit=0") == ["token_last_earned: 6 more"]


def test_the_summary_and_the_document_count_what_was_skipped_and_is_unknown(
    world: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(data: Any) -> Any:
        data.unknown.update({"b reason": 1, "a reason": 2})
        raise audit.Skipped("the host keeps none")
        yield

    monkeypatch.setattr(audit, "CHECKS", [SimpleNamespace(code="some_check", differences=check)])
    lines, document = StringIO(), StringIO()
    call_command("audit_heists", stdout=lines)
    call_command("audit_heists", "--json", stdout=document)

    heists = Heist.objects.count()
    assert lines.getvalue().splitlines() == [
        "some_check: skipped, the host keeps none",
        f"{heists} heists, 1 checks, 1 skipped, 2 rejections unknown (a reason), 1 rejection unknown (b reason): "
        "no difference.",
    ]
    assert json.loads(document.getvalue()) == {
        "heists": heists,
        "checks": 1,
        "skipped": {"some_check": "the host keeps none"},
        "unknown": {"a reason": 2, "b reason": 1},
        "counts": {},
        "differences": [],
    }


def test_only_the_document_is_on_standard_output(
    world: SimpleNamespace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A progress bar is drawn on terminals only.
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    call_command("audit_heists", "--json")

    json.loads(capsys.readouterr().out)
