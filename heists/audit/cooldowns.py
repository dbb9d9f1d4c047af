"""Outcomes inside a cooldown, protection or daily limit, by the rules of the later one.

See docs/specification.md, "The rules". Outcomes are taken in the order of their primary keys: an outcome is inserted
while both players are locked, so this is the order in which they were judged, whatever the clocks of the hosts said.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import Case, F, IntegerField, Max, Q, RowRange, Value, When, Window
from django.db.models.functions import Lag

from ..choices import HeistStatus
from ..rules import CLOCK_TOLERANCE, DAY, Rules
from .base import TOLERANCE, AuditData, Broken, check


def _opens(data: AuditData, length: Callable[[Rules], dt.timedelta]) -> Any:
    """Return an expression for the time before which the previous outcome has to be."""
    return F("created_at") - data.window(length) + TOLERANCE


def _under(data: AuditData, length: Callable[[Rules], dt.timedelta]) -> list[int]:
    """Return the rule sets in which this window is on."""
    return [pk for pk, rules in data.rule_sets.items() if length(rules)]


def _too_soon(data: AuditData, per: tuple[str, ...], length: Callable[[Rules], dt.timedelta]) -> Broken:
    """Yield the outcomes inside the window that the outcome before them opened."""
    if not (mine := _under(data, length)):
        return
    in_order: dict[str, Any] = {"partition_by": [F(name) for name in per], "order_by": "pk"}
    # A filter on the rules beside the window would remove the outcomes under other rules from it.
    previous = Window(Lag("created_at"), **in_order)
    yield data.outcomes.annotate(
        previous=Case(When(rule_set__in=mine, then=previous)),
        previous_heist=Window(Lag("pk"), **in_order),
        opens=_opens(data, length),
    ).filter(previous__gt=F("opens"))


@check(
    "window_cooldown",
    ids={"heist": "pk", "attacker": "attacker_id"},
    numbers=("previous_heist", "previous", "created_at"),
)
def cooldown(data: AuditData) -> Broken:
    """No attacker has two outcomes inside the cooldown."""
    yield from _too_soon(data, ("attacker",), lambda rules: rules.cooldown)


@check(
    "window_protection",
    ids={"heist": "pk", "victim": "victim_id"},
    numbers=("status", "previous_heist", "previous", "created_at"),
)
def protection(data: AuditData) -> Broken:
    """No outcome is inside the protection that a success against the same victim opened."""
    if not (mine := _under(data, lambda rules: rules.protection)):
        return
    before: dict[str, Any] = {
        "partition_by": [F("victim")],
        "order_by": "pk",
        "frame": RowRange(start=None, end=-1),
    }
    success = Q(status=HeistStatus.SUCCESS)
    newest = Window(Max(Case(When(success, then="created_at"))), **before)
    yield data.outcomes.annotate(
        previous=Case(When(rule_set__in=mine, then=newest)),
        previous_heist=Window(Max(Case(When(success, then="pk"))), **before),
        opens=_opens(data, lambda rules: rules.protection),
    ).filter(previous__gt=F("opens"))
    yield from _protected_by_deleted(data)


def _protected_by_deleted(data: AuditData) -> Iterator[dict[str, Any]]:
    """Yield the outcomes inside the protection that a success opened whose attacker's account was deleted since."""
    robbed = data.tokens.filter(losses_on_deleted__isnull=False).values("user")
    fields = ("victim_id", "status", "created_at", "rule_set_id")
    for chunk in data.heists_in_chunks(*fields, rows=data.outcomes.filter(victim__in=robbed)):
        for pk, victim, status, at, rule_set in chunk:
            opens = at - data.rule_sets[rule_set].protection + CLOCK_TOLERANCE
            earlier = [loss for loss in data.deleted_losses.get(victim, ()) if loss.heist_id < pk]
            newest = max(earlier, key=lambda loss: loss.at, default=None)
            if newest and data.rule_sets[rule_set].protection and newest.at > opens:
                yield {
                    "pk": pk,
                    "victim_id": victim,
                    "status": status,
                    "previous_heist": newest.heist_id,
                    "previous": newest.at,
                    "created_at": at,
                }


@check(
    "window_pair",
    ids={"heist": "pk", "attacker": "attacker_id", "victim": "victim_id"},
    numbers=("previous_heist", "previous", "created_at"),
)
def pair_cooldown(data: AuditData) -> Broken:
    """No attacker has two outcomes against the same victim inside the pair cooldown."""
    yield from _too_soon(data, ("attacker", "victim"), lambda rules: rules.pair_cooldown)


@check("window_day", ids={"heist": "pk", "attacker": "attacker_id"}, numbers=("limit", "before", "created_at"))
def daily_limit(data: AuditData) -> Broken:
    """No attacker has more outcomes in a rolling day than the daily limit."""
    limits = {rules.max_heists_per_day for rules in data.rule_sets.values()}
    for limit in sorted(limits):
        mine = [pk for pk, rules in data.rule_sets.items() if rules.max_heists_per_day == limit]
        outcomes = data.outcomes.annotate(limit=Value(limit, IntegerField()), opens=_opens(data, lambda rules: DAY))
        if not limit:
            yield outcomes.filter(rule_set__in=mine).annotate(before=F("created_at"))
            continue
        nth = Window(Lag("created_at", offset=limit), partition_by=[F("attacker")], order_by="pk")
        # In the expression: a filter would remove the outcomes under other rules from the count.
        yield outcomes.annotate(before=Case(When(rule_set__in=mine, then=nth))).filter(before__gt=F("opens"))


CHECKS = (cooldown, protection, pair_cooldown, daily_limit)
