"""Outcomes inside a cooldown, protection or daily limit, by the rules of the later one.

See docs/specification.md, "The rules".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.db.models import Case, DateTimeField, F, IntegerField, Max, Q, RowRange, Value, When, Window
from django.db.models.functions import Lag

from ..choices import HeistStatus
from ..rules import DAY, Rules
from .base import AuditData, Broken, check


def _too_soon(data: AuditData, rows: Any, per: tuple[str, ...], length: Callable[[Rules], dt.timedelta]) -> Any:
    """Return the rows inside the window that the row before them opened."""
    in_order: dict[str, Any] = {"partition_by": [F(name) for name in per], "order_by": ["created_at", "pk"]}
    return rows.annotate(
        previous=Window(Lag("created_at"), **in_order),
        previous_heist=Window(Lag("pk"), **in_order),
        opens=F("created_at") - data.window(length),
    ).filter(previous__gt=F("opens"))


@check(
    "window_cooldown",
    ids={"heist": "pk", "attacker": "attacker_id"},
    numbers=("previous_heist", "previous", "created_at"),
)
def cooldown(data: AuditData) -> Broken:
    """No attacker has two outcomes inside the cooldown."""
    yield _too_soon(data, data.outcomes, ("attacker",), lambda rules: rules.cooldown)


@check(
    "window_protection",
    ids={"heist": "pk", "victim": "victim_id"},
    numbers=("status", "previous_heist", "previous", "created_at"),
)
def protection(data: AuditData) -> Broken:
    """No outcome is inside the protection that a success against the same victim opened."""
    before: dict[str, Any] = {
        "partition_by": [F("victim")],
        "order_by": ["created_at", "pk"],
        "frame": RowRange(start=None, end=-1),
    }
    success = Q(status=HeistStatus.SUCCESS)
    yield data.outcomes.annotate(
        previous=Window(Max(Case(When(success, then="created_at"))), **before),
        previous_heist=Window(Max(Case(When(success, then="pk"))), **before),
        opens=F("created_at") - data.window(lambda rules: rules.protection),
    ).filter(previous__gt=F("opens"))


@check(
    "window_pair",
    ids={"heist": "pk", "attacker": "attacker_id", "victim": "victim_id"},
    numbers=("previous_heist", "previous", "created_at"),
)
def pair_cooldown(data: AuditData) -> Broken:
    """No attacker has two outcomes against the same victim inside the pair cooldown."""
    yield _too_soon(data, data.outcomes, ("attacker", "victim"), lambda rules: rules.pair_cooldown)


@check("window_day", ids={"heist": "pk", "attacker": "attacker_id"}, numbers=("limit", "before", "created_at"))
def daily_limit(data: AuditData) -> Broken:
    """No attacker has more outcomes in a rolling day than the daily limit."""
    limits = {rules.max_heists_per_day for rules in data.rule_sets.values()}
    for limit in sorted(limits):
        mine = [pk for pk, rules in data.rule_sets.items() if rules.max_heists_per_day == limit]
        nth = Window(Lag("created_at", offset=limit), partition_by=[F("attacker")], order_by=["created_at", "pk"])
        # In the expression: a filter would remove the outcomes under other rules from the count.
        yield data.outcomes.annotate(
            limit=Value(limit, IntegerField()),
            before=Case(When(rule_set__in=mine, then=nth), default=None, output_field=DateTimeField()),
            opens=F("created_at") - Value(DAY),
        ).filter(before__gt=F("opens"))


CHECKS = (cooldown, protection, pair_cooldown, daily_limit)
