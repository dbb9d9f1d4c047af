"""The command reads its rules and its period, prints a table or JSON, and changes nothing."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from heists import conf, in_force
from heists.management.commands import simulate_rules
from heists.management.commands.simulate_rules import as_json, as_table, changed_rules
from heists.models import Heist, RuleChange, RuleSet
from heists.queries.replay import Comparison
from heists.services import execute_heist
from tests.conftest import HeistSettings
from tests.factories import player, rewrite

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


@pytest.mark.parametrize(
    ("since", "until", "count"),
    [
        ("2026-05-20", "2026-05-21", 1),
        ("2026-05-19", "2026-05-20", 0),
        ("2026-05-20T01:00", "2026-05-20T01:01", 1),
        ("2026-05-20T01:01", None, 0),
        ("2026-05-19T13:00:00Z", "2026-05-19T13:00:01Z", 1),
    ],
)
def test_a_time_without_a_zone_is_of_the_sites(settings: Any, since: str, until: str | None, count: int) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    heist = execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)
    rewrite(heist, created_at=dt.datetime(2026, 5, 19, 13, tzinfo=dt.UTC))

    options = {"since": since} | ({"until": until} if until else {})
    assert run("COOLDOWN_HOURS=0", **options).startswith(f"{count} attempt")


@pytest.mark.parametrize(("days", "count"), [(27.9, 1), (28.1, 0)])
@pytest.mark.parametrize("until", [None, "2026-05-20T12:00:00Z"])
def test_the_period_is_the_28_days_before_its_end(days: float, count: int, until: str | None) -> None:
    end = dt.datetime(2026, 5, 20, 12, tzinfo=dt.UTC) if until else timezone.now()
    heist = execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)
    rewrite(heist, created_at=end - dt.timedelta(days=days))

    assert run("COOLDOWN_HOURS=0", until=until).startswith(f"{count} attempt")


@pytest.mark.parametrize(
    "change", ["STEAL_PERCENTAGE=1", "STEAL_PERCENTAGE=100", "COOLDOWN_HOURS=0", "TRUCE_ENABLED=FALSE"]
)
def test_a_rule_has_both_its_ends(change: str) -> None:
    assert changed_rules(conf.rules(), [change]) != conf.rules()


@pytest.mark.parametrize("change", ["STEAL_PERCENTAGE=\u0665", "STEAL_PERCENTAGE=1e1", "STEAL_PERCENTAGE=0x5"])
def test_a_number_is_written_in_plain_digits(change: str) -> None:
    with pytest.raises(CommandError, match="STEAL_PERCENTAGE is a whole number from 1 to 100"):
        run(change)


def test_a_rule_has_the_name_of_its_setting() -> None:
    with pytest.raises(CommandError, match="There is no rule 'steal_percentage'; there are: TOKEN_COST, "):
        run("steal_percentage=5")


def test_truces_are_switched_either_way(heist_settings: HeistSettings) -> None:
    assert [changed_rules(conf.rules(), [f"TRUCE_ENABLED={text}"]).truce_enabled for text in ("true", "False")] == [
        True,
        False,
    ]


@pytest.mark.usefixtures("rule_changes")
def test_the_rules_are_those_in_force_and_not_those_of_the_settings() -> None:
    heist = execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)
    rewrite(heist, created_at=timezone.now() - dt.timedelta(days=2))
    rules = RuleSet.objects.get_or_create(**dataclasses.asdict(dataclasses.replace(conf.rules(), steal_percentage=7)))
    at = timezone.now() - dt.timedelta(days=1)
    RuleChange.objects.create(kind="RULES", takes_effect_at=at, rule_set=rules[0], reason="a try")
    in_force.forget()

    assert "Points moved: 50 recorded, 70 replayed." in run("COOLDOWN_HOURS=12")


def test_shares_are_of_what_is_known_and_the_most_frequent_change_comes_first() -> None:
    found = Comparison()
    found.attempts, found.unknown = 5, 1
    found.changes.update({("cooldown", None): 1, (None, "protected"): 3})

    assert as_table(found).splitlines()[:3] == [
        "5 attempts: 4 would have ended otherwise, 0 the same, 1 unknown.",
        "  success -> protected: 3 (75.0 %)",
        "  cooldown -> success: 1 (25.0 %)",
    ]
    document = json.loads(as_json(found, timezone.now(), timezone.now()))
    assert [change["attempts"] for change in document["changes"]] == [3, 1]


def test_all_of_it_is_read_from_the_database_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def compare(rules: Any, *, using: str, **options: Any) -> Comparison:
        asked.append(using)
        return Comparison()

    def changes(using: str) -> Any:
        asked.append(using)
        return SimpleNamespace(rules=lambda now: conf.rules())

    monkeypatch.setattr("heists.queries.replay.compare", compare)
    monkeypatch.setattr("heists.in_force.changes", changes)
    monkeypatch.setattr(simulate_rules, "database_of", lambda name: f"the {name}")
    run("COOLDOWN_HOURS=0", database="copy")

    assert asked == ["the copy", "the copy"]
