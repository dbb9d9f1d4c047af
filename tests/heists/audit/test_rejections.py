"""Rejections judged again by their own rules: each code, what is tampered with, and the honest row beside it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from heists import audit
from heists.choices import FailureCode
from heists.models import AttemptLog, Heist
from heists.services import execute_heist
from tests.factories import player, rewrite

from .rows import DAY, HOUR, MICRO, NOW, SECOND, blocked, found, heist, rejected, rule_set, truce

MINUTE = 60 * SECOND
APRIL, MAY, JUNE = (dt.datetime(2026, month, 1, tzinfo=dt.UTC) for month in (4, 5, 6))
OFF = {"cooldown_hours": 0, "target_cooldown_hours": 0, "max_heists_per_day": 1000}


def own_truce(who: SimpleNamespace) -> dict[str, Any]:
    truce(who.alice, MAY)
    return {}


def insufficient_tokens(who: SimpleNamespace) -> dict[str, Any]:
    return {"attacker_tokens": 0}


def cooldown(who: SimpleNamespace) -> dict[str, Any]:
    blocked(who.alice, who.carol, rule_set(), NOW - 24 * HOUR + MICRO)
    return {}


def daily_limit(who: SimpleNamespace) -> dict[str, Any]:
    rules = rule_set(**OFF | {"max_heists_per_day": 2})
    heist(who.alice, who.carol, rules, NOW - DAY + MICRO), heist(who.alice, who.dora, rules, NOW - HOUR)
    return {"rules": rules}


def a_limit_of_0(who: SimpleNamespace) -> dict[str, Any]:
    return {"rules": rule_set(**OFF | {"max_heists_per_day": 0}), "failure_code": "daily_limit"}


def in_a_truce(who: SimpleNamespace) -> dict[str, Any]:
    truce(who.bob, MAY, JUNE)
    return {"failure_code": "truce"}


def newcomer(who: SimpleNamespace) -> dict[str, Any]:
    # Neither a rejection of theirs nor an outcome against them ends it.
    rules = rule_set(newcomer_days=30)
    rejected(who.bob, who.dora, rules, NOW - 3 * DAY, failure_code="newcomer")
    heist(who.dora, who.bob, rules, NOW - 3 * DAY)
    return {"rules": rules}


def pair_cooldown(who: SimpleNamespace) -> dict[str, Any]:
    rules = rule_set(**OFF | {"pair_cooldown_hours": 72})
    blocked(who.alice, who.bob, rules, NOW - 72 * HOUR + MICRO)
    return {"rules": rules}


def protected(who: SimpleNamespace) -> dict[str, Any]:
    heist(who.carol, who.bob, rule_set(), NOW - 48 * HOUR + MICRO)
    return {}


def insufficient_points(who: SimpleNamespace) -> dict[str, Any]:
    return {"victim_points_before": 19}


def loss_limit(who: SimpleNamespace) -> dict[str, Any]:
    rules = rule_set(**OFF)
    heist(who.carol, who.bob, rules, NOW - HOUR, points=100)
    return {"rules": rules, "victim_points_before": 900}


def balance_full(who: SimpleNamespace) -> dict[str, Any]:
    return {"attacker_points_before": 2**53 - 50}


KINDS: tuple[Callable[[SimpleNamespace], dict[str, Any]], ...] = (
    *(own_truce, insufficient_tokens, cooldown, daily_limit, a_limit_of_0, in_a_truce, newcomer, pair_cooldown),
    *(protected, insufficient_points, loss_limit, balance_full),
)


def reject(who: SimpleNamespace, code: str, values: dict[str, Any]) -> Heist:
    fields = {"attacker_tokens": 5} | values
    rules = fields.pop("rules", None) or rule_set()
    return rejected(who.alice, who.bob, rules, **fields | {"failure_code": code, "status": FailureCode(code).status})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_rejection_has_the_code_of_the_first_rule_that_failed(
    people: SimpleNamespace, kind: Callable[[SimpleNamespace], dict[str, Any]]
) -> None:
    values = kind(people)
    code = values.get("failure_code", kind.__name__)
    reject(people, code, values)
    assert found("heist_rejection") == []

    # The host alone knows who is inactive. An attack that a shield blocked is an outcome.
    others = [other for other in FailureCode.values if other not in (code, "inactive_target", "shield")]
    wrong = {other: reject(people, other, values) for other in others}

    # Of a newcomer nothing else is known that would have failed.
    replayed = "success" if code == "newcomer" else code
    assert found("heist_rejection") == sorted(
        f"heist {row.pk}, attacker {people.alice.pk}, victim {people.bob.pk}:"
        f" failure_code {other}, replayed {replayed}, created_at {NOW}"
        for other, row in wrong.items()
    )


def test_a_rejection_that_no_rule_asked_for_is_reported(people: SimpleNamespace) -> None:
    rules = rule_set()
    # Each is over, or somebody else's.
    heist(people.alice, people.carol, rules, NOW - 24 * HOUR)
    heist(people.dora, people.bob, rules, NOW - 48 * HOUR)
    truce(people.carol, MAY), truce(people.alice, APRIL, MAY)
    wrong = reject(people, "cooldown", {})

    assert found("heist_rejection") == [
        f"heist {wrong.pk}, attacker {people.alice.pk}, victim {people.bob.pk}:"
        f" failure_code cooldown, replayed success, created_at {NOW}"
    ]


def test_oneself_an_inactive_target_and_unknown_tokens_are_taken_as_recorded(people: SimpleNamespace) -> None:
    rejected(people.alice, people.alice, rule_set(), failure_code="self_target", status="FAILED_INVALID_TARGET")
    reject(people, "inactive_target", {"attacker_tokens": 0})
    reject(people, "insufficient_tokens", {"attacker_tokens": None})
    cooldown(people)
    reject(people, "cooldown", {"attacker_tokens": None})

    assert found("heist_rejection") == []


@pytest.mark.parametrize(("before", "wrong"), [(MINUTE, False), (MINUTE + MICRO, True), (DAY, True)])
def test_a_rejection_may_have_missed_an_outcome_of_the_minute_before(
    people: SimpleNamespace, before: dt.timedelta, wrong: bool
) -> None:
    heist(people.alice, people.carol, rule_set(cooldown_hours=48), NOW - before)
    newcomer = rule_set(newcomer_days=30, **OFF)
    blocked(people.bob, people.dora, newcomer, NOW - before)
    rows = [
        reject(people, "insufficient_points", {"victim_points_before": 19, "rules": rule_set(cooldown_hours=48)}),
        reject(people, "newcomer", {"rules": newcomer}),
    ]

    reported = [row.partition(",")[0] for row in found("heist_rejection")]
    assert reported == (sorted(f"heist {row.pk}" for row in rows) if wrong else [])


@pytest.mark.parametrize(("after", "reported"), [(SECOND - MICRO, False), (SECOND, True)])
@pytest.mark.parametrize("code", ["own_truce", "truce", "insufficient_points"])
def test_a_truce_may_begin_and_end_a_second_late(
    people: SimpleNamespace, code: str, after: dt.timedelta, reported: bool
) -> None:
    owner = people.alice if code == "own_truce" else people.bob
    span = (JUNE, None) if code == "insufficient_points" else (MAY, JUNE)
    truce(owner, *span)
    rejected(people.alice, people.bob, rule_set(), JUNE + after, failure_code=code, victim_points_before=19)

    assert bool(found("heist_rejection")) == reported


def test_only_a_truce_excuses_a_rejection_in_the_first_second_of_a_month(people: SimpleNamespace) -> None:
    rejected(people.alice, people.bob, rule_set(), JUNE)

    assert len(found("heist_rejection")) == 1


@pytest.mark.parametrize(("deleted", "unknown"), [(-1, 1), (None, 0), (1, 0)], ids=["before", "none", "after"])
@pytest.mark.parametrize(
    ("code", "role"),
    [("cooldown", "attacker"), ("daily_limit", "attacker"), ("protected", "victim"), ("loss_limit", "victim")],
)
def test_only_what_was_deleted_before_makes_a_rejection_unknown(
    people: SimpleNamespace, code: str, role: str, deleted: int | None, unknown: int
) -> None:
    stays = rejected(people.alice, people.bob, rule_set(), failure_code="insufficient_points", victim_points_before=1)
    AttemptLog.objects.update_or_create(pk=stays.pk, defaults={"attacker": people.alice, "victim": people.bob})
    row = rejected(
        people.alice, people.bob, rule_set(), pk=stays.pk + 9, failure_code=code, status=FailureCode(code).status
    )
    if deleted:
        # The first of two counts.
        for further in (0, 9):
            AttemptLog.objects.create(
                pk=row.pk + deleted + further, **{role: people.alice if role == "attacker" else people.bob}
            )

    (check,) = [check for check in audit.CHECKS if check.code == "heist_rejection"]
    with audit.open_snapshot("default") as data:
        assert len(list(check.differences(data))) == 1 - unknown
        assert data.unknown == ({"an account was deleted": 1} if unknown else {})


@pytest.mark.parametrize("code", ["inactive_target", "newcomer"])
def test_what_the_host_alone_knows_is_counted(people: SimpleNamespace, code: str) -> None:
    reject(people, code, {"rules": rule_set(newcomer_days=30)})

    (check,) = [check for check in audit.CHECKS if check.code == "heist_rejection"]
    with audit.open_snapshot("default") as data:
        assert list(check.differences(data)) == []
        assert data.unknown == {"the host alone knows": 1}


def summary() -> str:
    out = StringIO()
    with suppress(SystemExit):
        call_command("audit_heists", stdout=out)
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_what_rests_on_a_deleted_account_is_counted_and_named() -> None:
    alice, bob, eve = player(tokens=3), player(points=1000), player(points=1000, is_active=False)
    first = execute_heist(attacker_id=alice.pk, victim_id=bob.pk)
    assert execute_heist(attacker_id=alice.pk, victim_id=eve.pk).failure_code == "inactive_target"
    later = execute_heist(attacker_id=alice.pk, victim_id=player(points=1000).pk)
    assert (later.failure_code, later.pk > first.pk) == ("cooldown", True)
    assert ", 1 rejection unknown (the host alone knows): no difference." in summary()

    bob.delete()
    assert (
        ", 1 rejection unknown (an account was deleted), 1 rejection unknown (the host alone knows): no difference."
        in summary()
    )

    # A code that does not rest on what was deleted.
    rewrite(later, failure_code="protected", status="FAILED_TARGET_PROTECTED", retry_at=timezone.now() + HOUR)
    assert f"heist_rejection: heist {later.pk}, attacker {alice.pk}" in summary()
