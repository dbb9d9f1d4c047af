"""docs/specification.md, "The rules", question by question, without a database."""

from __future__ import annotations

import datetime as dt

import pytest

from heists import rules
from heists.choices import FailureCode, HeistStatus
from heists.rules import Attacker, Loss, Outcome, Rules, Truce, Victim

NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
MOMENT = dt.timedelta(microseconds=1)

RULES = Rules()


def attacker(tokens: int = 1, spent: dt.datetime | None = None, outcomes: tuple[Outcome, ...] = ()) -> Attacker:
    return Attacker("alice", tokens, spent, outcomes)


def victim(points: int = 1000, losses: tuple[Loss, ...] = (), active: bool = True, id: str = "bob") -> Victim:
    return Victim(id, active, points, losses)


def codes(numbers: Rules, robber: Attacker, robbed: Victim, now: dt.datetime = NOW) -> list[str]:
    return [str(failure.code) for failure in rules.failures(numbers, robber, robbed, now)]


def first(numbers: Rules, robber: Attacker, robbed: Victim, now: dt.datetime = NOW) -> rules.Failure | None:
    return next(rules.failures(numbers, robber, robbed, now), None)


@pytest.mark.parametrize(
    ("points", "stolen"), [(500, 25), (1000, 50), (1700, 85), (2000, 100), (10000, 100), (20, 1), (39, 1), (40, 2)]
)
def test_the_worked_amounts(points: int, stolen: int) -> None:
    assert first(RULES, attacker(), victim(points)) is None
    assert rules.amount(RULES, victim(points), NOW) == stolen


def test_fifteen_points_are_too_few() -> None:
    failure = first(RULES, attacker(), victim(15))

    assert failure is not None
    assert failure.code == FailureCode.INSUFFICIENT_POINTS
    assert failure.details == {"required": 20, "available": 15}
    assert failure.retry_at is None
    assert rules.amount(RULES, victim(15), NOW) == 0


def test_points_that_yield_nothing_are_too_few_even_above_the_minimum() -> None:
    numbers = Rules(min_target_points=10)

    failure = first(numbers, attacker(), victim(19))

    assert failure is not None
    assert (failure.code, failure.details) == ("insufficient_points", {"required": 20, "available": 19})
    assert codes(numbers, attacker(), victim(20)) == []


def test_robbing_oneself_is_rejected_first() -> None:
    failure = first(RULES, attacker(tokens=0), victim(0, id="alice", active=False))

    assert failure is not None
    assert failure.code == FailureCode.SELF_TARGET


def test_an_inactive_player_is_no_target() -> None:
    assert codes(RULES, attacker(), victim(active=False)) == ["inactive_target"]


def test_too_few_tokens_name_the_price_and_the_balance() -> None:
    failure = first(Rules(token_cost=3), attacker(tokens=2), victim())

    assert failure is not None
    assert failure.code == FailureCode.INSUFFICIENT_TOKENS
    assert failure.details == {"required": 3, "available": 2}


@pytest.mark.parametrize(
    ("waited", "rejected"), [(24 * HOUR - MOMENT, True), (24 * HOUR, False), (24 * HOUR + MOMENT, False)]
)
def test_the_cooldown_is_over_exactly_at_its_end(waited: dt.timedelta, rejected: bool) -> None:
    failure = first(RULES, attacker(spent=NOW - waited), victim())

    assert (failure is not None) is rejected
    if failure:
        assert failure.code == FailureCode.COOLDOWN
        assert failure.retry_at == NOW - waited + 24 * HOUR


def outcomes(*hours_ago: float, on: str = "carol") -> tuple[Outcome, ...]:
    return tuple(Outcome(on, NOW - hours * HOUR) for hours in hours_ago)


def test_the_day_is_full_until_its_oldest_heist_leaves_it() -> None:
    numbers = Rules(max_heists_per_day=2, cooldown_hours=0)

    failure = first(numbers, attacker(outcomes=outcomes(3, 23)), victim())

    assert failure is not None
    assert failure.code == FailureCode.DAILY_LIMIT
    assert failure.retry_at == NOW + HOUR
    assert first(numbers, attacker(outcomes=outcomes(3, 24)), victim()) is None
    assert first(numbers, attacker(outcomes=outcomes(3)), victim()) is None


def test_a_lowered_daily_limit_waits_until_enough_heists_have_left_the_day() -> None:
    failure = first(Rules(max_heists_per_day=2, cooldown_hours=0), attacker(outcomes=outcomes(1, 5, 20, 23)), victim())

    assert failure is not None
    assert failure.retry_at == NOW + 19 * HOUR


def test_a_daily_limit_of_zero_rejects_everybody() -> None:
    assert codes(Rules(max_heists_per_day=0), attacker(), victim()) == ["daily_limit"]


def test_the_pair_cooldown_looks_at_this_victim_alone_and_is_off_by_default() -> None:
    met = attacker(outcomes=outcomes(30, on="bob"))

    assert codes(RULES, met, victim()) == []
    failure = first(Rules(pair_cooldown_hours=72), met, victim())
    assert failure is not None
    assert failure.code == FailureCode.PAIR_COOLDOWN
    assert failure.retry_at == NOW + 42 * HOUR
    assert first(Rules(pair_cooldown_hours=72), attacker(outcomes=outcomes(30, on="carol")), victim()) is None
    assert first(Rules(pair_cooldown_hours=30), met, victim()) is None


@pytest.mark.parametrize(("waited", "rejected"), [(48 * HOUR - MOMENT, True), (48 * HOUR, False)])
def test_protection_is_over_exactly_at_its_end(waited: dt.timedelta, rejected: bool) -> None:
    failure = first(RULES, attacker(), victim(1000, (Loss(1, NOW - waited), Loss(1, NOW - 300 * HOUR))))

    assert (failure is not None) is rejected
    if failure:
        assert failure.code == FailureCode.PROTECTED
        assert failure.retry_at == NOW - waited + 48 * HOUR


def test_the_loss_limit_cuts_the_amount_last() -> None:
    lost = (Loss(70, NOW - 60 * HOUR),)

    # 930 points left of 1000: 46 would go, 30 are left of the 100 that a month may cost.
    assert rules.amount(RULES, victim(930, lost), NOW) == 30
    assert codes(RULES, attacker(), victim(930, lost)) == []


def test_an_exhausted_loss_limit_rejects_until_the_next_month() -> None:
    lost = (Loss(100, NOW - 60 * HOUR),)

    failure = first(RULES, attacker(), victim(900, lost))

    assert failure is not None
    assert failure.code == FailureCode.LOSS_LIMIT
    assert failure.retry_at == dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
    assert rules.amount(RULES, victim(900, lost), NOW) == 0


def test_last_months_losses_do_not_count_and_months_begin_where_the_site_is() -> None:
    just_before = Loss(100, dt.datetime(2026, 4, 30, 21, 59, tzinfo=dt.UTC))
    just_after = Loss(100, dt.datetime(2026, 4, 30, 22, 1, tzinfo=dt.UTC))
    berlin = Rules(time_zone="Europe/Berlin")

    assert codes(berlin, attacker(), victim(900, (just_before,))) == []
    failure = first(berlin, attacker(), victim(900, (just_after,)))
    assert failure is not None
    assert failure.retry_at == dt.datetime(2026, 5, 31, 22, tzinfo=dt.UTC)


def test_december_is_followed_by_january() -> None:
    december = dt.datetime(2026, 12, 31, 23, 59, tzinfo=dt.UTC)

    assert rules.next_month(RULES, december) == dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


def test_every_failure_is_found_in_the_order_of_the_table() -> None:
    numbers = Rules(max_heists_per_day=1, pair_cooldown_hours=48, newcomer_days=1)
    truces = (Truce(NOW, None),)
    busy = attacker(tokens=0, spent=NOW - HOUR, outcomes=outcomes(1, on="bob"))._replace(truces=truces)
    safe = victim(10, (Loss(100, NOW - HOUR),), active=False)._replace(truces=truces, joined_at=NOW)

    heard = codes(numbers, busy, safe)

    assert heard == [
        "inactive_target",
        "own_truce",
        "insufficient_tokens",
        "cooldown",
        "daily_limit",
        "truce",
        "newcomer",
        "pair_cooldown",
        "protected",
        "insufficient_points",
        "loss_limit",
    ]


@pytest.mark.parametrize(("points", "expected"), [(2**53 - 1 - 50, []), (2**53 - 50, ["balance_full"])])
def test_a_gain_beyond_the_largest_balance_is_rejected(points: int, expected: list[str]) -> None:
    full = attacker()._replace(monthly_points=points)

    assert codes(RULES, full, victim(1000)) == expected
    assert "balance_full" not in codes(RULES, full, victim(10))


def test_every_failure_code_has_a_status_and_every_failing_status_a_code() -> None:
    statuses = {code.status for code in FailureCode}

    assert statuses == set(HeistStatus) - {HeistStatus.SUCCESS}


def test_the_rules_import_no_clock_no_orm_and_no_settings() -> None:
    with open(rules.__file__, encoding="utf-8") as source:
        imports = [line.split()[1] for line in source if line.startswith(("import ", "from "))]

    assert set(imports) == {
        "__future__",
        "datetime",
        "collections.abc",
        "dataclasses",
        "functools",
        "typing",
        "zoneinfo",
        ".choices",
    }


def test_a_window_of_zero_hours_rejects_nobody_not_even_after_a_later_outcome() -> None:
    numbers = Rules(cooldown_hours=0, target_cooldown_hours=0, pair_cooldown_hours=0, monthly_loss_percent=100)
    later = NOW + MOMENT

    robber = attacker(spent=later, outcomes=(Outcome("bob", later),))

    assert codes(numbers, robber, victim(losses=(Loss(1, later),))) == []
