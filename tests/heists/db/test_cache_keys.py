"""Two schemas behind one alias, as sites with a schema for each tenant have them: nothing of one reaches the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from heists import in_force
from heists.db.cache_keys import database_key
from heists.models import Heist, RuleSet, RuleSetQuerySet
from heists.queries import cached, leaderboard
from heists.services import execute_heist, switch_heists
from tests.factories import player

Switch = Callable[[str], None]


def by_statement(schema: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET search_path = {schema}")


def as_django_tenants(schema: str) -> None:
    by_statement(schema)
    connection.schema_name = schema  # type: ignore[attr-defined]


@pytest.fixture(params=[by_statement, as_django_tenants])
def switch(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Switch]:
    """Return what switches between the schemas `public` and `tenant`, both migrated."""
    by_statement("public")
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA tenant")
    by_statement("tenant")
    try:
        call_command("migrate", verbosity=0)
        by_statement("public")
        RuleSetQuerySet.clear_cache()
        yield request.param
    finally:
        if request.param is as_django_tenants:
            delattr(connection, "schema_name")
        by_statement("public")
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA tenant CASCADE")
        RuleSetQuerySet.clear_cache()
        connection.close()
        # What `watch_search_path` noted; later tests count statements on this connection.
        connection.heists_search_path_changed = False  # type: ignore[attr-defined]


def heist_at(settings: Any, percentage: int) -> Any:
    settings.HEISTS = {**settings.HEISTS, "STEAL_PERCENTAGE": percentage}
    heist = execute_heist(attacker_id=player(tokens=1).pk, victim_id=player(points=1000).pk)
    return Heist.objects.select_related("rule_set").get(pk=heist.pk)


@pytest.mark.postgresql
def test_a_heist_is_recorded_under_the_rules_that_judged_it_in_each_schema(switch: Switch, settings: Any) -> None:
    recorded = []
    for schema, percentages in [("public", (5, 10)), ("tenant", (10, 5)), ("public", (10, 5)), ("tenant", (5, 10))]:
        switch(schema)
        for percentage in percentages:
            heist = heist_at(settings, percentage)
            recorded.append((heist.points_stolen, heist.rule_set.steal_percentage, percentage))

    assert recorded == [(10 * p, p, p) for p in (5, 10, 10, 5, 10, 5, 5, 10)]


@pytest.mark.postgresql
def test_rules_that_both_schemas_know_cost_no_statement(switch: Switch, settings: Any) -> None:
    for schema in ("public", "tenant"):
        switch(schema)
        heist_at(settings, 10)
    switch("public")

    with CaptureQueriesContext(connection) as statements:
        heist_at(settings, 10)

    assert not [s["sql"] for s in statements if s["sql"].startswith('SELECT "heists_ruleset"')]
    # Whose rule changes count has to be known before anything is judged; django-tenants says so itself.
    schemas = [s["sql"] for s in statements if s["sql"].startswith("SELECT current_schema")]
    assert len(schemas) == (0 if switch is as_django_tenants else 1)


@pytest.mark.postgresql
@pytest.mark.parametrize("switch", [by_statement], indirect=True)
def test_each_schema_has_its_own_rule_changes(switch: Switch, rule_changes: None) -> None:
    switch("tenant")
    switch_heists(enabled=False, changed_by=None, reason="a bug")
    seen = []
    for schema in ("public", "tenant", "public", "tenant"):
        switch(schema)
        seen.append(in_force.enabled(timezone.now()))

    assert seen == [True, False, True, False]


@pytest.mark.postgresql
def test_sums_are_cached_for_each_schema(switch: Switch, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "SLOW_SECONDS", -1)
    cache.clear()
    seen: list[list[int]] = []
    for schema in ("public", "tenant", "public", "tenant"):
        switch(schema)
        if len(seen) < 2:
            heist_at(settings, 5 + len(seen))
        seen.append([leader.points_stolen for leader in leaderboard.leaders(now=timezone.now(), limit=1)])

    assert seen == [[50], [60], [50], [60]]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["ENGINE", "HOST", "PORT", "NAME"])
def test_each_part_of_an_address_makes_another_database(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = database_key("default")

    monkeypatch.setitem(connection.settings_dict, name, "another")

    assert database_key("default") != here


@pytest.mark.django_db(transaction=True)
def test_a_cached_rule_set_whose_row_is_gone_is_created_again(settings: Any) -> None:
    heist_at(settings, 5)
    for key in RuleSetQuerySet.cache:
        RuleSetQuerySet.cache[key] = RuleSet(pk=987654321, steal_percentage=5)

    heist = heist_at(settings, 5)

    assert heist.rule_set.steal_percentage == 5
