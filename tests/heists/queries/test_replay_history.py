"""What a replay keeps of the outcomes so far, and how it judges by it: times and codes counted by hand."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from heists.models import RuleSet
from heists.queries import replay
from heists.queries.replay import Attempt, History
from heists.rules import Rules
from tests.factories import player

pytestmark = pytest.mark.django_db

MICRO, HOUR, DAY = dt.timedelta(microseconds=1), dt.timedelta(hours=1), dt.timedelta(days=1)
NOW = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC)
# How much earlier than the outcome before it an attempt may be.
DISORDER = dt.timedelta(minutes=2)


def attempt(attacker: int, victim: int, at: dt.datetime, **values: Any) -> Attempt:
    """Return a success of 50 of 1,000 points, or what `values` make of it."""
    row: dict[str, Any] = {"pk": 1, "attacker": attacker, "victim": victim, "at": at, "rule_set": 0}
    row |= {"attacker_tokens": 1, "attacker_points": 0, "victim_points": 1000, "token_spent": True}
    return Attempt(**row | {"code": None, "points": 50} | values)


def blocked(attacker: int, victim: int, at: dt.datetime) -> Attempt:
    return attempt(attacker, victim, at, code="shield", points=0)


def rejected(attacker: int, victim: int, at: dt.datetime) -> Attempt:
    return attempt(attacker, victim, at, code="cooldown", points=0, token_spent=False)


def history(*attempts: Attempt, rules: Rules | None = None) -> History:
    found = History("default", *([rules] if rules else []), deleted={})
    for one in attempts:
        found.add(one)
    return found


def test_the_events_of_an_attempt_are_the_outcomes_of_both_and_the_victims_losses() -> None:
    found = history(
        attempt(1, 3, NOW),
        attempt(2, 4, NOW + HOUR),
        attempt(5, 2, NOW + 2 * HOUR),
        # Of these none is about the attacker's outcomes, the victim's outcomes, or the victim's losses.
        attempt(6, 1, NOW + 3 * HOUR),
        attempt(7, 8, NOW + 3 * HOUR),
        blocked(5, 2, NOW + 4 * HOUR),
        rejected(1, 2, NOW + 5 * HOUR),
    )
    this = attempt(1, 2, NOW + 9 * HOUR)

    assert found.events_since(this, NOW) == [NOW, NOW + HOUR, NOW + 2 * HOUR]
    assert found.events_since(this, NOW + MICRO) == [NOW + HOUR, NOW + 2 * HOUR]


@pytest.mark.parametrize(
    ("before", "seen", "unseen"),
    [
        ([attempt(1, 3, NOW - HOUR)], "cooldown", None),
        ([attempt(3, 2, NOW - HOUR)], "protected", None),
        # The victim's own outcome ends their protection as a new player.
        ([attempt(2, 3, NOW - HOUR)], None, "newcomer"),
    ],
    ids=["attacker", "loss", "newcomer"],
)
def test_an_outcome_that_was_not_seen_is_left_out(before: list[Attempt], seen: str | None, unseen: str | None) -> None:
    rules = Rules(newcomer_days=30) if unseen else Rules()
    joined = NOW - DAY if unseen else None
    found, this = history(*before), attempt(1, 2, NOW)

    def code(**values: Any) -> str | None:
        return found.judge(this, rules, joined_at=joined, **values).code

    assert code() == seen
    assert code(seen_before=NOW - HOUR + MICRO) == seen
    assert code(seen_before=NOW - HOUR) == unseen


def test_the_last_outcome_is_the_one_that_the_cooldown_begins_with() -> None:
    found = history(attempt(1, 3, NOW - 30 * HOUR), attempt(1, 4, NOW - HOUR))

    assert found.judge(attempt(1, 2, NOW), Rules()).code == "cooldown"


@pytest.mark.parametrize(
    ("attacker_tokens", "code", "replayed"),
    [
        (1, None, "insufficient_tokens"),
        (2, None, None),
        (None, None, None),
        (None, "insufficient_tokens", "insufficient_tokens"),
    ],
)
def test_unknown_tokens_are_as_many_as_the_code_says(
    attacker_tokens: int | None, code: str | None, replayed: str | None
) -> None:
    this = attempt(1, 2, NOW, attacker_tokens=attacker_tokens, code=code)

    assert history().judge(this, Rules(token_cost=2)).code == replayed


@pytest.mark.parametrize(
    ("rules", "outcomes_kept", "losses_kept"),
    [
        (Rules(), DAY, 31 * DAY + 2 * HOUR),
        (Rules(pair_cooldown_hours=900), 900 * HOUR, 31 * DAY + 2 * HOUR),
        (Rules(cooldown_hours=900), 900 * HOUR, 31 * DAY + 2 * HOUR),
        (Rules(target_cooldown_hours=900), DAY, 900 * HOUR),
    ],
    ids=["defaults", "pair", "cooldown", "protection"],
)
@pytest.mark.parametrize("row", [False, True], ids=["more", "a row"])
def test_what_is_too_old_to_matter_is_dropped(
    rules: Rules, outcomes_kept: dt.timedelta, losses_kept: dt.timedelta, row: bool
) -> None:
    if row:
        RuleSet.objects.get_or_create(**dataclasses.asdict(rules))
    for early, kept in ((0 * MICRO, 2), (MICRO, 1)):
        found = history(
            attempt(1, 3, NOW - outcomes_kept - DISORDER - HOUR),
            attempt(1, 3, NOW - outcomes_kept - DISORDER - early),
            attempt(1, 4, NOW),
            attempt(5, 2, NOW - losses_kept - DISORDER - HOUR),
            attempt(5, 2, NOW - losses_kept - DISORDER - early),
            attempt(6, 2, NOW),
            rules=None if row else rules,
        )

        assert (len(found.outcomes[1]), len(found.losses[2])) == (kept, kept)


def test_only_players_with_losses_to_deleted_accounts_are_kept() -> None:
    player(tokens=1)

    assert replay._deleted_losses("default") == {}
