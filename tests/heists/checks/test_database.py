from __future__ import annotations

import dataclasses
import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import CheckMessage, Error, Warning
from django.db import connection
from django.utils import timezone

from gamification.models import PointEvent, PointEventTypeMaster
from heists.checks import database
from heists.models import RuleChange, RuleSet
from heists.rules import Rules
from heists.services.after_migrate import EVENT_TYPES
from tests.conftest import HeistSettings

GOOD_SQLITE = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"}


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Any:
    def run(vendor: str, *, options: dict[str, Any] | None = None, **settings: Any) -> list[CheckMessage]:
        found = {"NAME": "site.sqlite3", "CONN_MAX_AGE": 0, **settings, "OPTIONS": options or {}}
        connection = SimpleNamespace(vendor=vendor, display_name=vendor.title(), settings_dict=found)
        monkeypatch.setattr(database, "connections", {"default": connection})
        return list(database.check_databases())

    return run


def test_the_database_of_the_example_site_is_right() -> None:
    assert list(database.check_databases()) == []


@pytest.mark.parametrize("vendor", ["mysql", "oracle", "microsoft"])
def test_e013_an_unsupported_database(judge: Any, vendor: str) -> None:
    assert judge(vendor) == [
        Error(
            f'DATABASES["default"] is {vendor.title()}, which heists does not support.',
            hint="Use PostgreSQL, or SQLite for development and small sites.",
            id="heists.E013",
        )
    ]


def test_w003_atomic_requests(judge: Any) -> None:
    assert judge("sqlite", options=GOOD_SQLITE, ATOMIC_REQUESTS=True) == [
        Warning(
            'DATABASES["default"] has ATOMIC_REQUESTS on; a heist opens a durable transaction of its own, '
            "which can't be nested.",
            hint=(
                'Write "ATOMIC_REQUESTS": False, or put @transaction.non_atomic_requests on your own views that '
                "call heists.services. The API and admin of heists already do."
            ),
            id="heists.W003",
        )
    ]


def test_w004_sqlite_without_immediate_transactions(judge: Any) -> None:
    assert judge("sqlite", options=GOOD_SQLITE | {"transaction_mode": None}) == [
        Warning(
            'DATABASES["default"] has no "transaction_mode"; one of two simultaneous heists fails with '
            '"database is locked".',
            hint='Write DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE"}.',
            id="heists.W004",
        )
    ]


def test_w005_sqlite_without_wal(judge: Any) -> None:
    assert judge("sqlite", options=GOOD_SQLITE | {"init_command": ""}) == [
        Warning(
            'DATABASES["default"] is not in WAL mode; each heist blocks all readers.',
            hint='Write DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL;".',
            id="heists.W005",
        )
    ]


def test_w005_leaves_databases_in_memory_alone(judge: Any) -> None:
    assert judge("sqlite", options=GOOD_SQLITE | {"init_command": ""}, NAME=":memory:") == []


@pytest.mark.parametrize("timeout", [1, "20"])
def test_w006_sqlite_with_a_short_timeout(judge: Any, timeout: Any) -> None:
    assert judge("sqlite", options=GOOD_SQLITE | {"timeout": timeout}) == [
        Warning(
            f'DATABASES["default"] waits {timeout!r} seconds for another writer; simultaneous heists would fail.',
            hint='Write DATABASES["default"]["OPTIONS"]["timeout"] = 20.',
            id="heists.W006",
        )
    ]


def test_w007_a_pool_without_health_checks(judge: Any) -> None:
    assert judge("postgresql", options={"pool": {"max_size": 4}}) == [
        Warning(
            'DATABASES["default"] has a pool without CONN_HEALTH_CHECKS; a closed connection makes a request fail.',
            hint='Write "CONN_HEALTH_CHECKS": True.',
            id="heists.W007",
        )
    ]


def test_a_healthy_pool_and_no_pool_are_silent(judge: Any) -> None:
    assert judge("postgresql", options={"pool": True}, CONN_HEALTH_CHECKS=True) == []
    assert judge("postgresql", CONN_MAX_AGE=60) == []


@pytest.mark.django_db
def test_w008_missing_event_types() -> None:
    PointEvent.objects.filter(type__name="HEIST_GAIN")._raw_delete("default")
    PointEventTypeMaster.objects.filter(name="HEIST_GAIN").delete()

    assert list(database.check_event_types(databases=["default"])) == [
        Warning(
            "gamification.PointEventTypeMaster has no HEIST_GAIN; a heist would fail when it writes its point events.",
            hint="Run `manage.py seed_heists`.",
            id="heists.W008",
        )
    ]


@pytest.mark.django_db
def test_existing_event_types_are_silent() -> None:
    for name in EVENT_TYPES:
        PointEventTypeMaster.objects.get_or_create(name=name)

    assert list(database.check_event_types(databases=["default"])) == []


def test_event_types_are_not_read_without_a_database() -> None:
    assert list(database.check_event_types()) == []
    assert list(database.check_event_types(databases=["other"])) == []


def change(at: dt.datetime, **values: Any) -> None:
    rules = RuleSet.objects.get_or_create(**dataclasses.asdict(Rules(**values)))[0]
    RuleChange.objects.create(kind="RULES", takes_effect_at=at, rule_set=rules, reason="a try")


@pytest.mark.django_db
def test_w022_settings_that_differ_from_the_changes_of_the_rules(heist_settings: HeistSettings) -> None:
    now = timezone.now()
    change(now - dt.timedelta(days=2), token_cost=3)
    change(now - dt.timedelta(days=1), steal_percentage=8, truce_enabled=False, time_zone="Asia/Tokyo")
    # Not yet in force.
    change(now + dt.timedelta(days=1), cooldown_hours=12)
    heist_settings(SHIELD_COST=70)

    assert list(database.check_rules(databases=["default"])) == [
        Warning(
            "HEISTS and the changes of the rules differ in STEAL_PERCENTAGE, SHIELD_COST, TRUCE_ENABLED; the changes "
            "count.",
            hint=(
                "Write what counts: HEISTS = {'STEAL_PERCENTAGE': 8, 'SHIELD_COST': 50, 'TRUCE_ENABLED': False}; or "
                "change the rules on their page in the admin."
            ),
            id="heists.W022",
        )
    ]


@pytest.mark.django_db
def test_settings_that_agree_with_the_changes_and_settings_alone_are_silent(heist_settings: HeistSettings) -> None:
    heist_settings(STEAL_PERCENTAGE=8)
    assert list(database.check_rules(databases=["default"])) == []

    change(timezone.now() - dt.timedelta(days=1), steal_percentage=8)
    assert list(database.check_rules(databases=["default"])) == []


@pytest.mark.django_db
def test_rules_are_not_compared_without_a_database_or_where_a_setting_is_wrong(heist_settings: HeistSettings) -> None:
    change(timezone.now() - dt.timedelta(days=1), steal_percentage=8)
    assert list(database.check_rules()) == []
    assert list(database.check_rules(databases=["other"])) == []

    # Reported by its own check.
    heist_settings(TOKEN_COST="1")
    assert list(database.check_rules(databases=["default"])) == []


class WriteElsewhere:
    """Writes heists to another database."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "scores" if model._meta.app_label in ("heists", "gamification") else None


class ReadElsewhere:
    """Has no replica for what is read without naming a database."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "nowhere"


def test_the_database_is_the_one_that_heists_are_written_to(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [WriteElsewhere()]
    connections = {
        alias: SimpleNamespace(vendor=vendor, display_name=vendor, settings_dict={"NAME": "site", "OPTIONS": options})
        for alias, vendor, options in (("default", "mysql", {}), ("scores", "postgresql", {"pool": True}))
    }
    monkeypatch.setattr(database, "connections", connections)

    (message,) = database.check_databases()

    assert message.msg.startswith('DATABASES["scores"] has a pool without CONN_HEALTH_CHECKS')


@pytest.mark.parametrize(
    ("options", "name", "ids"),
    [
        ({"transaction_mode": "EXCLUSIVE"}, "site.sqlite3", []),
        ({"transaction_mode": "immediate"}, "site.sqlite3", []),
        ({"transaction_mode": "DEFERRED"}, "site.sqlite3", ["heists.W004"]),
        ({"init_command": "pragma journal_mode = wal"}, "site.sqlite3", []),
        ({"init_command": "PRAGMA journal_mode=WAL"}, "site.sqlite3", []),
        ({"init_command": "PRAGMA synchronous=NORMAL"}, "site.sqlite3", ["heists.W005"]),
        ({"init_command": ""}, "file:memorydb_default?mode=memory&cache=shared", []),
        ({"timeout": 5}, "site.sqlite3", []),
        ({"timeout": 4.9}, "site.sqlite3", ["heists.W006"]),
        ({"timeout": None}, "site.sqlite3", ["heists.W006"]),
    ],
)
def test_options_of_sqlite_at_their_boundaries(judge: Any, options: dict[str, Any], name: str, ids: list[str]) -> None:
    assert [message.id for message in judge("sqlite", options=GOOD_SQLITE | options, NAME=name)] == ids


def test_a_timeout_that_is_not_set_is_pythons(judge: Any) -> None:
    options = {key: value for key, value in GOOD_SQLITE.items() if key != "timeout"}

    assert judge("sqlite", options=options) == []


@pytest.mark.parametrize("checks", [False, None, "true", 1])
def test_w007_health_checks_are_on_only_where_they_are_true(judge: Any, checks: Any) -> None:
    (message,) = judge("postgresql", options={"pool": True}, CONN_HEALTH_CHECKS=checks)

    assert message.id == "heists.W007"


@pytest.mark.django_db
@pytest.mark.parametrize("missing", ["heists_heist", PointEventTypeMaster._meta.db_table])
def test_event_types_are_not_read_before_both_tables_are_there(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any, missing: str
) -> None:
    tables = [name for name in ("heists_heist", PointEventTypeMaster._meta.db_table) if name != missing]
    monkeypatch.setattr(connection.introspection, "table_names", lambda *args, **options: tables)

    with django_assert_num_queries(0):
        assert list(database.check_event_types(databases=["default"])) == []


@pytest.mark.django_db
def test_rules_are_not_read_before_their_table_is_there(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", lambda *args, **options: ["heists_heist"])

    with django_assert_num_queries(0):
        assert list(database.check_rules(databases=["default"])) == []


@pytest.mark.django_db
def test_event_types_and_rules_are_read_where_they_are_written(settings: Any) -> None:
    PointEventTypeMaster.objects.filter(name="HEIST_GAIN").delete()
    change(timezone.now() - dt.timedelta(days=1), steal_percentage=8)
    settings.DATABASE_ROUTERS = [ReadElsewhere()]

    assert [message.id for message in database.check_event_types(databases=["default"])] == ["heists.W008"]
    assert [message.id for message in database.check_rules(databases=["default"])] == ["heists.W022"]


@pytest.mark.django_db
def test_only_the_databases_that_are_named_are_read(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [WriteElsewhere()]

    assert list(database.check_event_types(databases=["default"])) == []
    assert list(database.check_rules(databases=["default"])) == []


@pytest.mark.django_db
def test_a_switch_after_the_rules_changes_no_rule() -> None:
    change(timezone.now() - dt.timedelta(days=2), steal_percentage=8)
    RuleChange.objects.create(
        kind="SWITCH", takes_effect_at=timezone.now() - dt.timedelta(days=1), enabled=False, reason="a bug"
    )

    assert [message.id for message in database.check_rules(databases=["default"])] == ["heists.W022"]
