"""Compares heists and shields with the rules and the switch in force (docs/specification.md, "Rule changes").

What the settings said before the first change of the rules is not in the rows; nor is `HEISTS["ENABLED"]`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from django.db.models import F, QuerySet, Value

from ..choices import RuleChangeKind
from ..models import RuleChange
from ..rules import LEAST_NOTICE
from .base import AuditData, Broken, check

# Every process knows a switch ten seconds after it. The rest is for a commit that took long, and for clocks.
SWITCH_TOLERANCE = dt.timedelta(minutes=1)


@check("rule_change_notice", ids={"change": "pk"}, numbers=("created_at", "takes_effect_at"))
def notice(data: AuditData) -> Broken:
    """A change of the rules was made at least a minute before it took effect, and a switch is not for the past."""
    changes = data.rows(RuleChange)
    yield changes.filter(kind=RuleChangeKind.RULES, takes_effect_at__lt=F("created_at") + Value(LEAST_NOTICE))
    yield changes.filter(kind=RuleChangeKind.SWITCH, takes_effect_at__lt=F("created_at"))


@check("heist_rules_in_force", ids={"heist": "pk"}, numbers=("rule_set_id", "created_at"))
def rules_in_force(data: AuditData) -> Broken:
    """Every heist was judged by the rules in force at its time, since the first change of the rules."""
    # Exactly: the clock that judged an attempt is also the one that its row has.
    for row, start, end in _periods(data, RuleChangeKind.RULES):
        if (rules := data.rule_sets.get(row.rule_set_id or 0)) is None:
            # Reported by the constraint.
            continue
        # The time zone is always that of the settings.
        same = [pk for pk, other in data.rule_sets.items() if replace(other, time_zone=rules.time_zone) == rules]
        yield _between(data.heists, "created_at", start, end).exclude(rule_set__in=same)


@check("heist_switched_off", ids={"heist": "pk"}, numbers=("status", "created_at"))
def heists_switched_off(data: AuditData) -> Broken:
    """No attempt was made while heists were switched off."""
    for start, end in _switched_off(data):
        yield _between(data.heists, "created_at", start, end)


@check("shield_switched_off", ids={"shield": "pk", "player": "player_id"}, numbers=("bought_at",))
def shields_switched_off(data: AuditData) -> Broken:
    """No shield was bought while heists were switched off."""
    for start, end in _switched_off(data):
        yield _between(data.shields, "bought_at", start, end)


def _switched_off(data: AuditData) -> Iterator[tuple[dt.datetime, dt.datetime | None]]:
    """Yield each time that heists were switched off, as every process knew it."""
    for row, start, end in _periods(data, RuleChangeKind.SWITCH):
        if not row.enabled:
            yield start + SWITCH_TOLERANCE, end


def _periods(data: AuditData, kind: RuleChangeKind) -> Iterator[tuple[RuleChange, dt.datetime, dt.datetime | None]]:
    """Yield each change of a kind, with the moments from which and up to which it counts; None where it still does."""
    rows = [*data.rows(RuleChange).filter(kind=kind, takes_effect_at__lte=data.now).order_by("takes_effect_at"), None]
    for row, following in pairwise(rows):
        yield row, row.takes_effect_at, following and following.takes_effect_at


def _between(rows: QuerySet[Any], field: str, start: dt.datetime, end: dt.datetime | None) -> QuerySet[Any]:
    rows = rows.filter(**{f"{field}__gte": start})
    return rows if end is None else rows.filter(**{f"{field}__lt": end})


CHECKS = (notice, rules_in_force, heists_switched_off, shields_switched_off)
