"""Compares heists with point events, balances, notifications and emails (docs/specification.md, "Data")."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

from django.db.models import Case, CharField, Count, Exists, F, Max, OuterRef, Q, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce

from ..choices import EmailState, GrantReason, HeistNotificationType, HeistStatus
from ..models import OutboxEmail, TokenGrant
from .base import CHUNK_ROWS, AuditData, Broken, Skipped, check, in_chunks, unless


@check("transfer_events", ids={"heist": "heist", "player": "player"}, numbers=("status", "expected", "found"))
def transfer_events(data: AuditData) -> Broken:
    """A success has one point event for each side, of exactly the points stolen, and one the other way for each side of
    exactly the points returned, where it was reversed; a heist of another status has none."""
    fields = ("attacker_id", "victim_id", "points_stolen", "status", "reversal__points_returned")
    for chunk in data.heists_in_chunks(*fields):
        events = data.economy.point_events([row[0] for row in chunk])
        if events is None:
            raise Skipped("the economy keeps no point events")
        found = Counter((event.heist_id, event.player_id, event.points) for event in events)
        expected: Counter[Any] = Counter()
        for heist, attacker, victim, points, status, returned in chunk:
            if status == HeistStatus.SUCCESS:
                expected[heist, attacker, points] += 1
                expected[heist, victim, -points] += 1
            if returned is not None:
                expected[heist, attacker, -returned] += 1
                expected[heist, victim, returned] += 1
        if found == expected:
            continue
        statuses = {row[0]: row[4] for row in chunk}
        for heist, player in sorted({key[:2] for key in (found - expected) + (expected - found)}, key=str):
            yield {
                "heist": heist,
                "player": player,
                "status": statuses.get(heist),
                "expected": [k[2] for k in expected.elements() if k[:2] == (heist, player)],
                "found": [k[2] for k in found.elements() if k[:2] == (heist, player)],
            }


@check("event_without_heist", ids={"heist": "heist", "player": "player"}, numbers=("points",))
def events_without_heists(data: AuditData) -> Broken:
    """Every point event of a heist names a heist that was once inserted."""
    events = data.economy.all_point_events()
    if events is None:
        raise Skipped("the economy does not list all point events")
    earlier = data.attempt_log.filter(attacker=None).aggregate(last=Max("pk"))["last"] or 0
    rest = iter(events)
    while chunk := list(islice(rest, CHUNK_ROWS)):
        ids = {event.heist_id for event in chunk if not 0 < event.heist_id <= earlier}
        missing = ids - set(data.attempt_log.filter(pk__in=ids).values_list("pk", flat=True))
        missing -= set(data.heists.filter(pk__in=missing).values_list("pk", flat=True))
        for event in chunk:
            if event.heist_id in missing:
                yield {"heist": event.heist_id, "player": event.player_id, "points": event.points}


@check("balance_ledger", ids={"player": "player"}, numbers=("monthly_points", "ledger"))
def balances(data: AuditData) -> Broken:
    """A player's monthly points are the sum of the host's own ledger."""
    for chunk in in_chunks(data.economy.players().using(data.using).values_list("pk", "monthly_points")):
        ledger = data.economy.ledger_balances([pk for pk, _points in chunk])
        if ledger is None:
            raise Skipped("the economy has no ledger of its own")
        for pk, points in chunk:
            if ledger.get(pk, 0) != points:
                yield {"player": pk, "monthly_points": points, "ledger": ledger.get(pk, 0)}


@check("month_ledger", ids={"player": "player", "month": "month"}, numbers=("points", "ledger"))
def months(data: AuditData) -> Broken:
    """A player's points of a month, past ones too, are the sum of that month's entries in the host's own ledger."""
    for chunk in in_chunks(data.economy.players().using(data.using).values_list("pk")):
        balances = data.economy.monthly_balances([pk for (pk,) in chunk])
        if balances is None:
            raise Skipped("the economy keeps no points of past months")
        for balance in balances:
            if balance.points != balance.ledger:
                yield {
                    "player": balance.player_id,
                    "month": balance.month,
                    "points": balance.points,
                    "ledger": balance.ledger,
                }


@check("notification_missing", ids={"heist": "pk", "player": "player"}, numbers=("type", "created_at"))
def notifications_exist(data: AuditData) -> Broken:
    """Both sides of a success and of a reversal, and the owner of a shield that blocked, have a notification."""
    expected = (
        (HeistNotificationType.HEIST_SUCCESS, HeistStatus.SUCCESS, "attacker"),
        (HeistNotificationType.HEIST_VICTIM, HeistStatus.SUCCESS, "victim"),
        (HeistNotificationType.SHIELD_ACTIVATED, HeistStatus.FAILED_SHIELD, "victim"),
    )
    for type, status, side in expected:
        theirs = data.notifications.filter(heist=OuterRef("pk"), user=OuterRef(side), type=type)
        yield data.heists.filter(~Exists(theirs), status=status, created_at__gt=data.notifications_kept_since).annotate(
            player=F(side), type=Value(str(type))
        )
    type = HeistNotificationType.HEIST_REVERSED
    for side in ("attacker", "victim"):
        theirs = data.notifications.filter(heist=OuterRef("heist"), user=OuterRef(f"heist__{side}"), type=type)
        rows = data.reversals.filter(~Exists(theirs), created_at__gt=data.notifications_kept_since)
        for heist, player, created_at in rows.values_list("heist_id", f"heist__{side}", "created_at"):
            yield {"pk": heist, "player": player, "type": str(type), "created_at": created_at}


@check("notification_twice", ids={"heist": "heist_id", "player": "user_id"}, numbers=("type", "times"))
def notifications_unique(data: AuditData) -> Broken:
    """A player has one notification of a type about a heist at most."""
    about_heists = data.notifications.exclude(heist=None)
    yield about_heists.order_by().values("heist_id", "user_id", "type").annotate(times=Count("pk")).filter(times__gt=1)


@check(
    "notification_stray",
    ids={"notification": "pk", "player": "user_id", "heist": "heist_id"},
    numbers=("type", "heist__status"),
)
def notifications_match(data: AuditData) -> Broken:
    """A notification is to the right player about the right kind of heist; rejections have none."""
    right = (
        Q(type=HeistNotificationType.HEIST_SUCCESS, heist__status=HeistStatus.SUCCESS, user=F("heist__attacker"))
        | Q(type=HeistNotificationType.HEIST_VICTIM, heist__status=HeistStatus.SUCCESS, user=F("heist__victim"))
        | Q(
            type=HeistNotificationType.SHIELD_ACTIVATED,
            heist__status=HeistStatus.FAILED_SHIELD,
            user=F("heist__victim"),
        )
        | Q(type=HeistNotificationType.HEIST_REVERSED, heist__reversal__isnull=False, user=F("heist__attacker"))
        | Q(type=HeistNotificationType.HEIST_REVERSED, heist__reversal__isnull=False, user=F("heist__victim"))
    )
    yield unless(right, data.notifications.exclude(heist=None))


@check(
    "notification_points",
    ids={"notification": "pk", "heist": "heist_id"},
    numbers=("points", "moved"),
)
def notification_points(data: AuditData) -> Broken:
    """A notification of a success has the points that moved, one of a reversal those that were returned."""
    returned = Q(type=HeistNotificationType.HEIST_REVERSED)
    moved = Case(When(returned, then="heist__reversal__points_returned"), default="heist__points_stolen")
    yield (
        data.notifications.filter(heist__status=HeistStatus.SUCCESS)
        .annotate(
            points=Coalesce(Cast(KT("metadata__points"), CharField()), Value("none")),
            moved=Coalesce(Cast(moved, CharField()), Value("none")),
        )
        .exclude(points=F("moved"))
    )


@check(
    "grant_notification_missing", ids={"grant": "pk", "player": "player_id"}, numbers=("amount", "reason", "created_at")
)
def grant_notifications(data: AuditData) -> Broken:
    """Every grant of tokens has a notification to its player, corrections aside."""
    ids = Cast(KT("metadata__grant_id"), CharField())
    theirs = data.notifications.filter(type=HeistNotificationType.TOKEN_EARNED, user=OuterRef("player"))
    yield (
        data.rows(TokenGrant)
        .exclude(reason=GrantReason.CORRECTION)
        .annotate(key=Cast("pk", CharField()))
        .filter(
            ~Exists(theirs.annotate(grant=ids).filter(grant=OuterRef("key"))),
            created_at__gt=data.notifications_kept_since,
        )
    )


@check(
    "email_state",
    ids={"notification": "notification_id", "email": "pk"},
    numbers=("state", "notification__email_sent"),
)
def email_states(data: AuditData) -> Broken:
    """A notification has `email_sent` exactly if its outbox email is in the state SENT."""
    emails = data.rows(OutboxEmail)
    yield emails.filter(state=EmailState.SENT, notification__email_sent=False)
    yield emails.exclude(state=EmailState.SENT).filter(notification__email_sent=True)


CHECKS = (
    transfer_events,
    events_without_heists,
    balances,
    months,
    notifications_exist,
    notifications_unique,
    notifications_match,
    notification_points,
    grant_notifications,
    email_states,
)
