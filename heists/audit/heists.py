"""Each heist against its own row and the rules it was judged by (spec section 4)."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import BigIntegerField, Case, F, Q, RowRange, Sum, Value, When, Window
from django.db.models.functions import Cast, Coalesce, Least, TruncMonth

from ..choices import STATUS_OF_CODE, FailureCode, HeistNotificationType, HeistStatus
from ..models import RuleSet
from ..rules import DAY, month_start
from .base import AuditData, Wrong, check

# A rejection takes no lock: its clock was read a moment before the facts, and another server's clock may differ.
MOMENT = dt.timedelta(minutes=1)
LONGEST_MONTH = dt.timedelta(days=31, hours=2)  # a clock may be put back in it

BIG = BigIntegerField()
POINTS = Cast("victim_points_before", BIG)
SHARE = Least(POINTS * F("rule_set__steal_percentage") / 100, Cast("rule_set__max_steal_points", BIG), output_field=BIG)


@check("heist_failure_code", ids={"heist": "pk"}, numbers=("status", "failure_code"))
def code_fits_status(data: AuditData) -> Wrong:
    """A failure code belongs to its status, and only a success has none."""
    right = Q(status=HeistStatus.SUCCESS, failure_code=None)
    for code, status in STATUS_OF_CODE.items():
        right |= Q(status=status, failure_code=code)
    yield data.heists.annotate(right=Case(When(right, then=Value(1)), default=Value(0))).filter(right=0)


@check("heist_self_target", ids={"heist": "pk", "attacker": "attacker_id"}, numbers=("victim_id", "failure_code"))
def self_targets(data: AuditData) -> Wrong:
    """The code self_target is for those who named themselves, and for nobody else."""
    oneself, told = Q(attacker=F("victim")), Q(failure_code=FailureCode.SELF_TARGET)
    # ~ on a nullable column would lose the nulls: a Case asks the plain question.
    yield data.heists.annotate(
        oneself=Case(When(oneself, then=Value(1)), default=Value(0)),
        told=Case(When(told, then=Value(1)), default=Value(0)),
    ).exclude(oneself=F("told"))


@check("heist_enough_points", ids={"heist": "pk"}, numbers=("status", "victim_points_before", "share"))
def enough_points(data: AuditData) -> Wrong:
    """An outcome's victim had enough points; one refused for too few had not."""
    rows = data.heists.annotate(share=SHARE)
    enough = Q(victim_points_before__gte=F("rule_set__min_target_points"), share__gte=1)
    few = Q(victim_points_before__lt=F("rule_set__min_target_points")) | Q(share__lt=1)
    yield rows.filter(few, status__in=HeistStatus.outcomes())
    yield rows.filter(enough, failure_code=FailureCode.INSUFFICIENT_POINTS)


@check("heist_amount", ids={"heist": "pk", "victim": "victim_id"}, numbers=("points_stolen", "share", "rule_set_id"))
def amount(data: AuditData) -> Wrong:
    """Nobody loses more than the percentage and the cap of the heist's rules."""
    yield data.successes.annotate(share=SHARE).filter(points_stolen__gt=F("share"))


@check("heist_retry_at", ids={"heist": "pk"}, numbers=("failure_code", "created_at", "retry_at"))
def retry_at(data: AuditData) -> Wrong:
    """retry_at stands where time decides, after the attempt and within the window that refused it; else it is null."""
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
    """The successes with what was left of the victim's loss limit, for those judged in this time zone.

    Losses to attackers whose account is gone are missing from the rows, so it may have been less, never more.
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
    # The zone is asked in the expression: as a filter it would take the other zones' losses out of the sum.
    return data.successes.annotate(
        share=SHARE, left=Case(When(rule_set__time_zone=zone, then=left), default=None, output_field=BIG)
    )


def _zones(data: AuditData) -> list[str]:
    return sorted(set(data.rows(RuleSet).values_list("time_zone", flat=True)))


@check("heist_loss_limit", ids={"heist": "pk", "victim": "victim_id"}, numbers=("points_stolen", "left", "created_at"))
def loss_limit(data: AuditData) -> Wrong:
    """Nobody loses more in a calendar month than the heist's rules leave them to lose."""
    for zone in _zones(data):
        yield _with_loss_left(data, zone).filter(points_stolen__gt=F("left"))


@check("heist_amount_short", ids={"heist": "pk", "victim": "victim_id"}, numbers=("points_stolen", "share", "left"))
def amount_short(data: AuditData) -> Wrong:
    """A success takes the whole share, or all that the loss limit leaves."""
    gone = data.notifications.filter(type=HeistNotificationType.HEIST_VICTIM, heist=None)
    names = ("pk", "victim_id", "points_stolen", "share", "left", "created_at", "rule_set_id")
    for zone in _zones(data):
        short = _with_loss_left(data, zone).filter(points_stolen__lt=Least("share", "left"), left__isnull=False)
        for row in short.values(*names):
            since = month_start(data.rule_sets[row["rule_set_id"]], row["created_at"])
            # Losses to accounts since deleted explain a smaller amount; only their notifications tell of them.
            unknown = (
                since < data.notifications_kept_since
                or gone.filter(user=row["victim_id"], created_at__gte=since, created_at__lte=row["created_at"]).exists()
            )
            if not unknown:
                yield row


CHECKS = (code_fits_status, self_targets, enough_points, amount, retry_at, loss_limit, amount_short)
