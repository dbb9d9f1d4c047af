"""The command reads its rules and its period, prints a table or JSON, and changes nothing."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from heists.models import Heist, RuleSet
from heists.services import execute_heist
from tests.factories import player

pytestmark = pytest.mark.django_db


@pytest.fixture
def attempts() -> None:
    """A success of 50 points, and a rejection for the cooldown."""
    alice = player(tokens=2)
    execute_heist(attacker_id=alice.pk, victim_id=player(points=1000).pk)
    execute_heist(attacker_id=alice.pk, victim_id=player(points=300).pk)


def run(*args: str, **options: Any) -> str:
    said = io.StringIO()
    call_command("simulate_rules", *args, stdout=said, stderr=io.StringIO(), **options)
    return said.getvalue()


def test_it_prints_what_would_have_ended_otherwise(attempts: None) -> None:
    assert run("COOLDOWN_HOURS=0", "STEAL_PERCENTAGE=8").splitlines() == [
        "2 attempts: 1 would have ended otherwise, 1 the same, 0 unknown.",
        "  cooldown -> success: 1 (50.0 %)",
        "Points moved: 50 recorded, 104 replayed.",
        "Each attempt is judged alone: what another result would have changed afterwards is not simulated.",
    ]
    assert (RuleSet.objects.count(), Heist.objects.count()) == (1, 2)


def test_it_prints_json(attempts: None) -> None:
    document = json.loads(run("COOLDOWN_HOURS=0", json=True, since="2020-01-01", until="2099-12-31"))

    assert document.pop("since") == "2020-01-01T00:00:00Z"
    assert document.pop("until") == "2099-12-31T00:00:00Z"
    assert document == {
        "attempts": 2,
        "unknown": 0,
        "changed": 1,
        "changes": [{"recorded": "cooldown", "replayed": "success", "attempts": 1}],
        "points_recorded": 50,
        "points_replayed": 65,
    }


def test_one_attempt_is_counted_in_the_singular() -> None:
    execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)

    assert run("COOLDOWN_HOURS=0").startswith("1 attempt: 0 would have ended otherwise")


def test_a_period_without_attempts(attempts: None) -> None:
    assert run("COOLDOWN_HOURS=0", until="2020-01-01").startswith("0 attempts: 0 would have ended otherwise")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("STEAL=8", "There is no rule 'STEAL'"),
        ("TIME_ZONE=UTC", "There is no rule 'TIME_ZONE'"),
        ("ENABLED=false", "There is no rule 'ENABLED'"),
        ("STEAL_PERCENTAGE", "STEAL_PERCENTAGE is a whole number from 1 to 100, not ''."),
        ("STEAL_PERCENTAGE=0", "from 1 to 100, not '0'"),
        ("STEAL_PERCENTAGE=101", "from 1 to 100, not '101'"),
        ("STEAL_PERCENTAGE=5.5", "from 1 to 100, not '5.5'"),
        ("STEAL_PERCENTAGE=-5", "from 1 to 100, not '-5'"),
        ("TRUCE_ENABLED=no", "TRUCE_ENABLED is true or false, not 'no'."),
    ],
)
def test_a_wrong_rule_is_named(change: str, problem: str) -> None:
    with pytest.raises(CommandError, match=problem.replace("(", r"\(")):
        run(change)


@pytest.mark.parametrize("text", ["yesterday", "2026-02-30", "2026-13-01T00:00:00Z", ""])
def test_a_wrong_time_is_named(text: str) -> None:
    with pytest.raises(CommandError, match="--since is a date or time"):
        run("COOLDOWN_HOURS=0", since=text)


def test_a_period_that_ends_before_it_begins_is_an_error() -> None:
    with pytest.raises(CommandError, match="--since must be before --until"):
        run("COOLDOWN_HOURS=0", since="2026-05-02", until="2026-05-02")


def test_an_unknown_database_is_an_error() -> None:
    with pytest.raises(CommandError, match="There is no database 'nope'"):
        run("COOLDOWN_HOURS=0", database="nope")
