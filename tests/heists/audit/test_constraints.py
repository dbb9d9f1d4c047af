"""The constraints, as the audit checks them on the rows: each clause, and the honest row beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from heists.models import HeistNotification, OutboxEmail, RuleChange, RuleSet, TokenGrant
from heists.rules import Rules

from .rows import DAY, MICRO, NOW, found, grant, heist, notification, reversal, rule_set, shield, tokens, truce

# A block, a rejection and an attempt on oneself, as fields of a heist.
BLOCK = {"status": "FAILED_SHIELD", "failure_code": "shield"}
REJECTION = {"status": "FAILED_COOLDOWN", "failure_code": "cooldown"}


def a_heist(people: SimpleNamespace, victim: str = "bob", **fields: Any) -> Any:
    return heist(people.alice, getattr(people, victim), rule_set(), **fields)


def a_grant(people: SimpleNamespace, **fields: Any) -> Any:
    return TokenGrant.objects.create(
        **({"player": people.alice, "amount": 1, "reason": "STAFF", "source": "a"} | fields)
    )


def a_token(people: SimpleNamespace, **fields: Any) -> Any:
    return tokens(people.alice, **fields)


def a_shield(people: SimpleNamespace, **fields: Any) -> Any:
    return shield(people.alice, **fields)


def a_reversal(people: SimpleNamespace, **fields: Any) -> Any:
    return reversal(a_heist(people), **fields)


def a_truce(people: SimpleNamespace, **fields: Any) -> Any:
    return truce(people.alice, NOW, **fields)


def a_rule_change(people: SimpleNamespace, **fields: Any) -> Any:
    return RuleChange.objects.create(
        **({"kind": "RULES", "takes_effect_at": NOW, "rule_set": rule_set(), "reason": "a try"} | fields)
    )


def a_notification(people: SimpleNamespace, type: str = "TOKEN_EARNED", **fields: Any) -> Any:
    return notification(people.alice, type, **fields)


def an_email(people: SimpleNamespace, **fields: Any) -> Any:
    return OutboxEmail.objects.create(notification=a_notification(people), **fields)


# The constraint, a row, its fields, and whether they break it.
CLAUSES: list[tuple[str, Callable[..., Any], dict[str, Any], bool]] = [
    ("heists_token_never_negative", a_token, {}, False),
    ("heists_token_never_negative", a_token, {"balance": -1}, True),
    ("heists_token_never_negative", a_token, {"total_earned": -1}, True),
    ("heists_token_never_negative", a_token, {"total_spent": -1}, True),
    ("heists_token_never_negative", a_token, {"spent_on_deleted": -1}, True),
    ("heists_token_balance_adds_up", a_token, {"balance": 2, "total_earned": 5, "total_spent": 3}, False),
    ("heists_token_balance_adds_up", a_token, {"balance": 1, "total_earned": 5, "total_spent": 3}, True),
    ("heists_token_balance_adds_up", a_token, {"balance": 3, "total_earned": 5, "total_spent": 3}, True),
    ("heists_grant_only_correction_takes", a_grant, {"amount": 1}, False),
    ("heists_grant_only_correction_takes", a_grant, {"amount": 0}, True),
    ("heists_grant_only_correction_takes", a_grant, {"amount": -1}, True),
    ("heists_grant_only_correction_takes", a_grant, {"amount": -1, "reason": "CORRECTION"}, False),
    ("heists_grant_only_correction_takes", a_grant, {"amount": 0, "reason": "CORRECTION"}, True),
    ("heists_grant_only_correction_takes", a_grant, {"amount": 1, "reason": "CORRECTION"}, True),
    *(("heists_grant_reason_known", a_grant, {"reason": reason}, False) for reason in ("REFERRAL", "PROMOTION")),
    *(("heists_grant_reason_known", a_grant, {"reason": reason}, False) for reason in ("STAFF", "REFUND")),
    ("heists_grant_reason_known", a_grant, {"reason": "staff"}, True),
    ("heists_heist_status_known", a_heist, {}, False),
    ("heists_heist_status_known", a_heist, {"status": "WON"}, True),
    ("heists_heist_failure_code_known", a_heist, {"failure_code": None}, False),
    ("heists_heist_failure_code_known", a_heist, {"failure_code": "loss_limit"}, False),
    ("heists_heist_failure_code_known", a_heist, {"failure_code": "luck"}, True),
    ("heists_heist_failure_code_known", a_heist, {"failure_code": ""}, True),
    *(
        ("heists_heist_never_negative", a_heist, {name: value}, value == -1)
        for name in ("points", "victim_points_after", "attacker_points_before")
        for value in (0, -1)
    ),
    ("heists_heist_never_negative", a_heist, {"victim_points_before": 0, "victim_points_after": 0}, False),
    ("heists_heist_never_negative", a_heist, {"victim_points_before": -1, "victim_points_after": 0}, True),
    ("heists_heist_never_negative", a_heist, {"attacker_points_after": 0}, False),
    ("heists_heist_never_negative", a_heist, {"attacker_points_after": -1}, True),
    ("heists_heist_never_negative", a_heist, {"attacker_tokens": None}, False),
    ("heists_heist_never_negative", a_heist, {"attacker_tokens": 0}, False),
    ("heists_heist_never_negative", a_heist, {"attacker_tokens": -1}, True),
    ("heists_heist_transfer_balanced", a_heist, {}, False),
    ("heists_heist_transfer_balanced", a_heist, REJECTION, False),
    ("heists_heist_transfer_balanced", a_heist, {"victim_points_after": 949}, True),
    ("heists_heist_transfer_balanced", a_heist, {"victim_points_after": 951}, True),
    ("heists_heist_transfer_balanced", a_heist, {"attacker_points_after": 49}, True),
    ("heists_heist_transfer_balanced", a_heist, {"attacker_points_after": 51}, True),
    ("heists_heist_only_success_steals", a_heist, {"points": 1}, False),
    ("heists_heist_only_success_steals", a_heist, {"points": 0}, True),
    ("heists_heist_only_success_steals", a_heist, BLOCK, False),
    ("heists_heist_only_success_steals", a_heist, BLOCK | {"points": 1}, True),
    ("heists_heist_only_success_steals", a_heist, REJECTION | {"points": 1}, True),
    *(
        ("heists_heist_outcome_spends_token", a_heist, fields | {"token_spent": spent}, spent == (fields is REJECTION))
        for fields in ({}, BLOCK, REJECTION)
        for spent in (True, False)
    ),
    ("heists_heist_not_oneself", a_heist, {}, False),
    ("heists_heist_not_oneself", a_heist, {"victim": "alice", "status": "FAILED_INVALID_TARGET"}, False),
    ("heists_heist_not_oneself", a_heist, {"victim": "alice"}, True),
    ("heists_heist_not_oneself", a_heist, {"victim": "alice"} | BLOCK, True),
    ("heists_notification_type_known", a_notification, {}, False),
    ("heists_notification_type_known", a_notification, {"type": "GOSSIP"}, True),
    ("heists_notification_sent_has_time", a_notification, {}, False),
    ("heists_notification_sent_has_time", a_notification, {"email_sent_at": NOW}, False),
    ("heists_notification_sent_has_time", a_notification, {"email_sent": True, "email_sent_at": NOW}, False),
    ("heists_notification_sent_has_time", a_notification, {"email_sent": True}, True),
    ("heists_shield_used_or_expired", a_shield, {}, False),
    ("heists_shield_used_or_expired", a_shield, {"used_at": NOW}, False),
    ("heists_shield_used_or_expired", a_shield, {"expired_at": NOW}, False),
    ("heists_shield_used_or_expired", a_shield, {"used_at": NOW, "expired_at": NOW}, True),
    ("heists_shield_used_has_time", a_shield, {}, False),
    ("heists_shield_used_has_time", a_shield, {"used_at": NOW}, False),
    ("heists_shield_used_has_time", a_shield, {"used_by_id": 1, "used_at": NOW}, False),
    ("heists_shield_used_has_time", a_shield, {"used_by_id": 1}, True),
    ("heists_shield_lasts", a_shield, {"expires_at": NOW + MICRO}, False),
    ("heists_shield_lasts", a_shield, {"expires_at": NOW}, True),
    ("heists_reversal_returns_points", a_reversal, {"points": 1, "had": 1}, False),
    ("heists_reversal_returns_points", a_reversal, {"points": 0}, True),
    ("heists_reversal_returns_points", a_reversal, {"points": -1}, True),
    *(
        ("heists_reversal_never_negative", a_reversal, {f"{role}_points_{when}": value}, value == -1)
        for role in ("attacker", "victim")
        for when in ("before", "after")
        for value in (0, -1)
    ),
    ("heists_reversal_balanced", a_reversal, {"points": 20, "had": 70}, False),
    ("heists_reversal_balanced", a_reversal, {"attacker_points_after": 1}, True),
    ("heists_reversal_balanced", a_reversal, {"attacker_points_after": -1}, True),
    ("heists_reversal_balanced", a_reversal, {"victim_points_after": 999}, True),
    ("heists_reversal_balanced", a_reversal, {"victim_points_after": 1001}, True),
    ("heists_rulechange_kind_known", a_rule_change, {}, False),
    ("heists_rulechange_kind_known", a_rule_change, {"enabled": True}, True),
    ("heists_rulechange_kind_known", a_rule_change, {"rule_set": None}, True),
    ("heists_rulechange_kind_known", a_rule_change, {"kind": "SWITCH"}, True),
    ("heists_rulechange_kind_known", a_rule_change, {"kind": "SWITCH", "rule_set": None, "enabled": False}, False),
    ("heists_rulechange_kind_known", a_rule_change, {"kind": "SWITCH", "rule_set": None}, True),
    ("heists_rulechange_kind_known", a_rule_change, {"kind": "OTHER"}, True),
    ("heists_truce_ends_later", a_truce, {}, False),
    # Withdrawn before it began.
    ("heists_truce_ends_later", a_truce, {"ends_at": NOW}, False),
    ("heists_truce_ends_later", a_truce, {"ends_at": NOW - MICRO}, True),
    ("heists_outboxemail_state_known", an_email, {}, False),
    ("heists_outboxemail_state_known", an_email, {"state": "LOST"}, True),
]


@pytest.mark.parametrize(
    ("code", "write", "fields", "broken"),
    CLAUSES,
    ids=[f"{code}-{' '.join(f'{name}={value}' for name, value in fields.items())}" for code, _, fields, _ in CLAUSES],
)
def test_each_clause_of_a_constraint(
    people: SimpleNamespace, code: str, write: Callable[..., Any], fields: dict[str, Any], broken: bool
) -> None:
    if "used_by_id" in fields:
        fields = fields | {"used_by_id": a_heist(people, **BLOCK).pk}
    row = write(people, **fields)

    assert [line.split(":")[0] for line in found(code)] == ([f"{row._meta.model_name} {row.pk}"] if broken else [])


def test_the_columns_of_a_constraint_are_printed(people: SimpleNamespace) -> None:
    token, row = a_token(people, balance=4, total_earned=5, total_spent=3), a_heist(people, attacker_tokens=-1)

    assert found("heists_token_balance_adds_up") == [f"heisttoken {token.pk}: balance 4"]
    assert found("heists_heist_never_negative") == [
        f"heist {row.pk}: attacker_points_after 50, attacker_points_before 0, attacker_tokens -1, points_stolen 50,"
        " victim_points_after 950, victim_points_before 1000"
    ]


def test_a_key_of_one_player_is_on_one_heist(people: SimpleNamespace) -> None:
    rules = rule_set()
    for attacker, key in ((people.alice, "a"), (people.alice, "b"), (people.bob, "a"), (people.bob, None)):
        heist(attacker, people.dora, rules, idempotency_key=key)
    heist(people.bob, people.dora, rules, idempotency_key=None)
    assert found("heists_heist_idempotency_key") == []

    second = [heist(people.bob, people.dora, rules, idempotency_key="z") for _ in range(3)]
    assert found("heists_heist_idempotency_key") == [
        f"first {second[0].pk}: attacker {people.bob.pk}, idempotency_key z, times 3"
    ]


def test_a_key_of_one_player_is_on_one_shield(people: SimpleNamespace) -> None:
    for owner, key in ((people.alice, "a"), (people.alice, "b"), (people.bob, None), (people.bob, None)):
        shield(owner, idempotency_key=key)
    first = shield(people.bob, idempotency_key="a")
    assert found("heists_shield_idempotency_key") == []

    shield(people.bob, idempotency_key="a")
    assert found("heists_shield_idempotency_key") == [
        f"first {first.pk}: player {people.bob.pk}, idempotency_key a, times 2"
    ]


def test_a_player_has_one_open_shield(people: SimpleNamespace) -> None:
    shield(people.alice), shield(people.bob)
    shield(people.bob, used_at=NOW), shield(people.bob, expired_at=NOW)
    assert found("heists_shield_one_live") == []

    shield(people.bob, NOW + DAY)
    assert [line.split(": ")[1] for line in found("heists_shield_one_live")] == [f"player {people.bob.pk}, times 2"]


def test_a_player_has_one_truce_without_an_end(people: SimpleNamespace) -> None:
    first = truce(people.alice, NOW)
    truce(people.alice, NOW - DAY, NOW), truce(people.alice, NOW + DAY, NOW + DAY)
    truce(people.bob, NOW)
    assert found("heists_truce_one_open") == []

    truce(people.alice, NOW + 2 * DAY)
    assert found("heists_truce_one_open") == [f"first {first.pk}: player {people.alice.pk}, times 2"]


@pytest.mark.postgresql
def test_two_truces_of_a_player_never_start_at_the_same_time(people: SimpleNamespace) -> None:
    first = truce(people.alice, NOW, NOW)
    truce(people.alice, NOW + MICRO), truce(people.bob, NOW)
    assert found("heists_truce_one_a_start") == []

    truce(people.alice, NOW, NOW + DAY)
    assert found("heists_truce_one_a_start") == [
        f"first {first.pk}: player {people.alice.pk}, starts_at {NOW}, times 2"
    ]


@pytest.mark.postgresql
def test_the_same_rules_are_kept_once(people: SimpleNamespace) -> None:
    rules = rule_set()
    # One setting differs.
    rule_set(token_cost=2), rule_set(truce_enabled=False)
    assert found("heists_ruleset_unique") == []

    RuleSet.objects.create(**asdict(Rules()))
    (line,) = found("heists_ruleset_unique")
    assert line.startswith(f"first {rules.pk}: ")
    assert line.endswith(", times 2")


# Of each unique column: its name, a row, and a second row with the same value.
UNIQUE: dict[str, tuple[str, Callable[[SimpleNamespace], Any], Callable[[SimpleNamespace, Any], Any]]] = {
    "heists_tokengrant_source_unique": ("source", a_grant, lambda people, row: grant(people.bob, source=row.source)),
    "heists_heisttoken_user_unique": ("user", a_token, lambda people, row: tokens(row.user)),
    "heists_shield_used_by_unique": (
        "used_by",
        lambda people: shield(people.alice, used_at=NOW, used_by=a_heist(people, **BLOCK)),
        lambda people, row: shield(people.bob, used_at=NOW, used_by=row.used_by),
    ),
    "heists_reversal_heist_unique": ("heist", a_reversal, lambda people, row: reversal(row.heist)),
    "heists_outboxemail_notification_unique": (
        "notification",
        an_email,
        lambda people, row: OutboxEmail.objects.create(notification=row.notification),
    ),
}


@pytest.mark.postgresql
@pytest.mark.parametrize("code", UNIQUE)
def test_a_value_of_a_unique_column_is_there_once(people: SimpleNamespace, code: str) -> None:
    column, write, again = UNIQUE[code]
    first = write(people)
    # Other values; of shields that nobody used, none.
    grant(people.bob), tokens(people.bob), shield(people.bob), shield(people.carol)
    reversal(heist(people.bob, people.carol, rule_set()))
    OutboxEmail.objects.create(notification=notification(people.bob, "TOKEN_EARNED"))
    assert found(code) == []

    again(people, first)
    value = getattr(first, first._meta.get_field(column).attname)
    assert found(code) == [f"first {first.pk}: {column} {value}, times 2"]


@pytest.mark.postgresql
def test_two_changes_of_a_kind_for_a_moment(people: SimpleNamespace) -> None:
    first = a_rule_change(people)
    a_rule_change(people, takes_effect_at=NOW + MICRO)
    a_rule_change(people, kind="SWITCH", rule_set=None, enabled=True)
    assert found("heists_rulechange_one_a_moment") == []

    a_rule_change(people)
    assert found("heists_rulechange_one_a_moment") == [f"first {first.pk}: kind RULES, takes_effect_at {NOW}, times 2"]


# docs/specification.md, "Data": what each model promises of its rows.
CODES = {
    "heists_token_never_negative",
    "heists_token_balance_adds_up",
    "heists_heisttoken_user_unique",
    "heists_grant_only_correction_takes",
    "heists_grant_reason_known",
    "heists_tokengrant_source_unique",
    "heists_heist_idempotency_key",
    "heists_shield_idempotency_key",
    "heists_shield_one_live",
    "heists_shield_used_by_unique",
    "heists_outboxemail_notification_unique",
    "heists_ruleset_unique",
    "heists_rulechange_one_a_moment",
    "heists_reversal_balanced",
    "heists_reversal_heist_unique",
    "heists_reversal_never_negative",
    "heists_truce_one_a_start",
    "heists_reversal_returns_points",
    "heists_truce_ends_later",
    "heists_truce_one_open",
} | {code for code, *_rest in CLAUSES}


def test_every_constraint_is_a_check_with_a_promise() -> None:
    from heists.audit import constraints

    assert {check.code for check in constraints.CHECKS} == CODES
    assert {check.promise for check in constraints.CHECKS} == {
        f"Every row satisfies the constraint {code}." for code in CODES
    }


def test_notifications_of_all_types_are_known(people: SimpleNamespace) -> None:
    types = ("HEIST_SUCCESS", "HEIST_VICTIM", "TOKEN_EARNED", "SHIELD_ACTIVATED", "SHIELD_EXPIRED", "HEIST_REVERSED")
    for type in types:
        notification(people.alice, type)

    assert HeistNotification.objects.count() == 6
    assert found("heists_notification_type_known") == []
