"""Compares each heist with the rules it was judged by (docs/specification.md, "The rules")."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import BigIntegerField, Case, F, Q, RowRange, Sum, Value, When, Window
from django.db.models.functions import Cast, Coalesce, Least, TruncMonth

from ..choices import STATUS_OF_CODE, FailureCode, HeistNotificationType, HeistStatus
from ..models import RuleSet
from ..rules import DAY, month_start
from .base import AuditData, Broken, check

# A rejection takes no lock, so its clock was read before its facts.
MOMENT = dt.timedelta(minutes=1)
LONGEST_MONTH = dt.timedelta(days=31, hours=2)  # with a clock that was set back

BIG = BigIntegerField()
POINTS = Cast("victim_points_before", BIG)
SHARE = Least(POINTS * F("rule_set__steal_percentage") / 100, Cast("rule_set__max_steal_points", BIG), output_field=BIG)


@check("heist_failure_code", ids={"heist": "pk"}, numbers=("status", "failure_code"))
def failure_codes(data: AuditData) -> Broken:
    """A failure code belongs to its status, and only a success has none."""
    right = Q(status=HeistStatus.SUCCESS, failure_code=None)
    for code, status in STATUS_OF_CODE.items():
        right |= Q(status=status, failure_code=code)
    yield data.heists.annotate(right=Case(When(right, then=Value(1)), default=Value(0))).filter(right=0)


@check("heist_self_target", ids={"heist": "pk", "attacker": "attacker_id"}, numbers=("victim_id", "failure_code"))
def self_targets(data: AuditData) -> Broken:
    """The code self_target is on attempts on oneself, and only there."""
    oneself, coded = Q(attacker=F("victim")), Q(failure_code=FailureCode.SELF_TARGET)
    # With Case, because ~Q on a nullable column loses the nulls.
    yield data.heists.annotate(
        oneself=Case(When(oneself, then=Value(1)), default=Value(0)),
        coded=Case(When(coded, then=Value(1)), default=Value(0)),
    ).exclude(oneself=F("coded"))


@check("heist_enough_points", ids={"heist": "pk"}, numbers=("status", "victim_points_before", "share"))
def enough_points(data: AuditData) -> Broken:
    """The victim of an outcome had enough points; one rejected for too few points had not."""
    rows = data.heists.annotate(share=SHARE)
    enough = Q(victim_points_before__gte=F("rule_set__min_target_points"), share__gte=1)
    few = Q(victim_points_before__lt=F("rule_set__min_target_points")) | Q(share__lt=1)
    yield rows.filter(few, status__in=HeistStatus.outcomes())
    yield rows.filter(enough, failure_code=FailureCode.INSUFFICIENT_POINTS)


@check("heist_amount", ids={"heist": "pk", "victim": "victim_id"}, numbers=("points_stolen", "share", "rule_set_id"))
def amount(data: AuditData) -> Broken:
    """A success takes no more than the percentage and the cap of its rules."""
    yield data.successes.annotate(share=SHARE).filter(points_stolen__gt=F("share"))


@check("heist_retry_at", ids={"heist": "pk"}, numbers=("failure_code", "created_at", "retry_at"))
def retry_at(data: AuditData) -> Broken:
    """retry_at is set exactly where time decides: after the attempt, and within the window of the failed rule."""
    yield data.heists.filter(failure_code__in=FailureCode.timed()).filter(
        Q(retry_at=None) | Q(retry_at__lte=F("created_at"))
    )
    yield data.heists.exclude(retry_at=None).filter(
        Q(failure_code=None) | Q(failure_code__in=set(FailureCode) - set(FailureCode.timed()))
    )
    windows = {
        FailureCode.COOLDOWN: data.window(lambda rules: rules.cooldown),
        FailureCode.PAIR_COOLDOWN: data.window(lambda rules: rules.pair_cooldown),
        FailureCode.PROTECTED: data.window(lambda rules: rules.protection),
        FailureCode.DAILY_LIMIT: Value(DAY),
        FailureCode.LOSS_LIMIT: Value(LONGEST_MONTH),
    }
    for code, window in windows.items():
        yield data.heists.filter(failure_code=code).filter(retry_at__gt=F("created_at") + window + Value(MOMENT))


def _with_loss_left(data: AuditData, zone: str) -> Any:
    """Return the successes with what was left of the victim's loss limit, for those judged in this time zone.

    Losses to attackers whose account was deleted are missing, so less may have been left, never more.
    """
    lost = Coalesce(
        Window(
            Sum("points_stolen"),
            partition_by=[F("victim"), TruncMonth("created_at", tzinfo=ZoneInfo(zone))],
            order_by=["created_at", "pk"],
            frame=RowRange(start=None, end=-1),
        ),
        0,
        output_field=BIG,
    )
    left = (POINTS + lost) * F("rule_set__monthly_loss_percent") / 100 - lost
    # The zone is in the expression: a filter would remove the losses under other zones from the sum.
    return data.successes.annotate(
        share=SHARE, left=Case(When(rule_set__time_zone=zone, then=left), default=None, output_field=BIG)
    )


def _zones(data: AuditData) -> list[str]:
    return sorted(set(data.rows(RuleSet).values_list("time_zone", flat=True)))


@check("heist_loss_limit", ids={"heist": "pk", "victim": "victim_id"}, numbers=("points_stolen", "left", "created_at"))
def loss_limit(data: AuditData) -> Broken:
    """A success takes no more than its rules' loss limit leaves of the calendar month."""
    for zone in _zones(data):
        yield _with_loss_left(data, zone).filter(points_stolen__gt=F("left"))


@check("heist_amount_short", ids={"heist": "pk", "victim": "victim_id"}, numbers=("points_stolen", "share", "left"))
def amount_short(data: AuditData) -> Broken:
    """A success takes the whole share, or all that the loss limit leaves."""
    deleted = data.notifications.filter(type=HeistNotificationType.HEIST_VICTIM, heist=None)
    names = ("pk", "victim_id", "points_stolen", "share", "left", "created_at", "rule_set_id")
    for zone in _zones(data):
        short = _with_loss_left(data, zone).filter(points_stolen__lt=Least("share", "left"), left__isnull=False)
        for row in short.values(*names):
            since = month_start(data.rule_sets[row["rule_set_id"]], row["created_at"])
            # Losses to deleted accounts explain a smaller amount; only their notifications are left of them.
            explained = (
                since < data.notifications_kept_since
                or deleted.filter(
                    user=row["victim_id"], created_at__gte=since, created_at__lte=row["created_at"]
                ).exists()
            )
            if not explained:
                yield row


CHECKS = (failure_codes, self_targets, enough_points, amount, retry_at, loss_limit, amount_short)
