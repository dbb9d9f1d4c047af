"""Compares each heist with the rules it was judged by (docs/specification.md, "The rules")."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import BigIntegerField, Case, Exists, F, Max, Min, OuterRef, Q, Value, When
from django.db.models.functions import Cast, Least

from ..choices import STATUS_OF_CODE, FailureCode, HeistNotificationType, HeistStatus
from ..rules import CLOCK_TOLERANCE, DAY, LONGEST_MONTH, Rules, Victim, month_start, next_month, share
from .base import AuditData, Broken, check, unless

# A rejection takes no lock, so its time was taken before its facts were read; this much earlier at most.
READ_TOLERANCE = dt.timedelta(minutes=1)

# What a token row keeps of losses to deleted accounts: as long before the newest (migration 0002).
LOSSES_KEPT = dt.timedelta(days=32)

# A victim's losses arrive in the order of judgement, so that one month back is enough.
MONTHS_KEPT = 3

BIG = BigIntegerField()
POINTS = Cast("victim_points_before", BIG)
SHARE = Least(POINTS * F("rule_set__steal_percentage") / 100, Cast("rule_set__max_steal_points", BIG), output_field=BIG)


@check("heist_failure_code", ids={"heist": "pk"}, numbers=("status", "failure_code"))
def failure_codes(data: AuditData) -> Broken:
    """A failure code belongs to its status, and only a success has none."""
    right = Q(status=HeistStatus.SUCCESS, failure_code=None)
    for code, status in STATUS_OF_CODE.items():
        right |= Q(status=status, failure_code=code)
    yield unless(right, data.heists)


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
    """The victim of an outcome had enough points."""
    few = Q(victim_points_before__lt=F("rule_set__min_target_points")) | Q(share__lt=1)
    yield data.heists.annotate(share=SHARE).filter(few, status__in=HeistStatus.outcomes())


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
    sometimes = FailureCode.truces()
    yield data.heists.filter(failure_code__in=sometimes, retry_at__lte=F("created_at"))
    yield data.heists.exclude(retry_at=None).filter(
        Q(failure_code=None) | Q(failure_code__in=set(FailureCode) - {*FailureCode.timed(), *sometimes})
    )
    windows = {
        FailureCode.COOLDOWN: data.window(lambda rules: rules.cooldown),
        FailureCode.PAIR_COOLDOWN: data.window(lambda rules: rules.pair_cooldown),
        FailureCode.PROTECTED: data.window(lambda rules: rules.protection),
        FailureCode.DAILY_LIMIT: Value(DAY),
        FailureCode.LOSS_LIMIT: Value(LONGEST_MONTH),
        # Not of newcomers: when a player joined is known to the host alone.
        FailureCode.OWN_TRUCE: Value(LONGEST_MONTH),
        FailureCode.TRUCE: Value(LONGEST_MONTH),
    }
    for code, window in windows.items():
        yield data.heists.filter(failure_code=code).filter(
            retry_at__gt=F("created_at") + window + Value(READ_TOLERANCE)
        )


@check("heist_attacker_tokens", ids={"heist": "pk", "attacker": "attacker_id"}, numbers=("attacker_tokens", "status"))
def attacker_tokens(data: AuditData) -> Broken:
    """The attacker of an outcome had the token cost of its rules."""
    yield data.outcomes.filter(attacker_tokens__lt=F("rule_set__token_cost"))


@check("heist_loss_limit", ids={"heist": "pk", "victim": "victim_id"}, numbers=("points_stolen", "left", "created_at"))
def loss_limit(data: AuditData) -> Broken:
    """A success takes no more than its rules' loss limit leaves of the calendar month."""
    yield from (row for row in _judge_losses(data) if row["points_stolen"] > row["left"])


@check("heist_amount_short", ids={"heist": "pk", "victim": "victim_id"}, numbers=("points_stolen", "share", "left"))
def amount_short(data: AuditData) -> Broken:
    """A success takes the whole share, or all that the loss limit leaves."""
    deleted = data.notifications.filter(type=HeistNotificationType.HEIST_VICTIM, heist=None)
    kept_from = _kept_from(data)
    for row in _judge_losses(data):
        if row["points_stolen"] >= min(row["share"], row["left"]):
            continue
        if row["victim_id"] in kept_from and kept_from[row["victim_id"]] < row["since"]:
            yield row
            continue
        # Losses to deleted accounts that the token row no longer keeps; only their notifications are left of them.
        period = (row["since"], row["created_at"] + CLOCK_TOLERANCE)
        explained = (
            row["since"] < data.notifications_kept_since
            or deleted.filter(user=row["victim_id"], created_at__range=period).exists()
        )
        if not explained:
            yield row


def _kept_from(data: AuditData) -> dict[Any, dt.datetime]:
    """Return the time after which each player's token row keeps all losses to deleted accounts."""
    always = dt.datetime.min.replace(tzinfo=dt.UTC)
    return {
        player: max(loss.at for loss in data.deleted_losses[player]) - LOSSES_KEPT
        if player in data.deleted_losses
        else always
        for player in data.tokens.values_list("user", flat=True)
    }


def _judge_losses(data: AuditData) -> Iterator[dict[str, Any]]:
    """Yield the successes that took another amount than the rows before them allow, in the order of judgement.

    The months of a zone are computed in Python, since only there the first instant of each is exact. Losses to deleted
    accounts count as the token row keeps them. It keeps those of its last month, so less may have been left, never
    more.
    """
    deleted = {victim: deque(sorted(losses)) for victim, losses in data.deleted_losses.items()}
    months = {rules.time_zone: _Months(data, rules) for rules in data.rule_sets.values()}
    # By victim and zone: the points lost in each of the last months.
    lost: dict[tuple[Any, str], dict[int, int]] = {}
    fields = ("victim_id", "points_stolen", "victim_points_before", "created_at", "rule_set_id")

    def add(victim: Any, points: int, at: dt.datetime) -> None:
        for zone, calendar in months.items():
            sums = lost.setdefault((victim, zone), {})
            number = calendar.number(at)
            sums[number] = sums.get(number, 0) + points
            if len(sums) > MONTHS_KEPT:
                del sums[min(sums)]

    for chunk in data.heists_in_chunks(*fields, rows=data.successes):
        for pk, victim, points, before, at, rule_set in chunk:
            while (losses := deleted.get(victim)) and losses[0].heist_id < pk:
                loss = losses.popleft()
                add(victim, loss.points, loss.at)
            rules = data.rule_sets[rule_set]
            month = months[rules.time_zone].number(at)
            # As the rules do: a loss that another host's clock put into the next month counts too.
            known = lost.get((victim, rules.time_zone), {})
            so_far = sum(points_lost for number, points_lost in known.items() if number >= month)
            taken = share(rules, Victim(victim, True, before))
            left = (before + so_far) * rules.monthly_loss_percent // 100 - so_far
            if points != min(taken, left):
                yield {
                    "pk": pk,
                    "victim_id": victim,
                    "points_stolen": points,
                    "share": taken,
                    "left": left,
                    "created_at": at,
                    "since": months[rules.time_zone].start(month),
                }
            add(victim, points, at)


class _Months:
    """The months of a time zone in which the heists lie, numbered."""

    def __init__(self, data: AuditData, rules: Rules) -> None:
        period = data.heists.aggregate(first=Min("created_at"), last=Max("created_at"))
        self._starts: list[dt.datetime] = []
        if period["first"] is not None:
            self._starts.append(month_start(rules, period["first"]))
            while self._starts[-1] <= period["last"]:
                self._starts.append(next_month(rules, self._starts[-1]))

    def number(self, at: dt.datetime) -> int:
        return bisect_right(self._starts, at) - 1

    def start(self, number: int) -> dt.datetime:
        return self._starts[number]


@check("heist_deleted", ids={"heist": "pk", "attacker": "attacker_id", "victim": "victim_id"})
def deleted_heists(data: AuditData) -> Broken:
    """No heist was deleted while both its players exist."""
    players = data.rows(get_user_model())
    yield data.attempt_log.filter(
        ~Exists(data.heists.filter(pk=OuterRef("pk"))),
        Exists(players.filter(pk=OuterRef("attacker"))),
        Exists(players.filter(pk=OuterRef("victim"))),
        deleted=False,
    )


CHECKS = (
    deleted_heists,
    failure_codes,
    self_targets,
    enough_points,
    attacker_tokens,
    amount,
    retry_at,
    loss_limit,
    amount_short,
)
