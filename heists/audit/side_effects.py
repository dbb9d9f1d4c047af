"""Compares heists with their point events, notifications, used shields and emails (docs/specification.md, "Data")."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db.models import Case, CharField, Count, Exists, F, Min, OuterRef, Q, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, Least

from ..choices import EmailState, HeistNotificationType, HeistStatus
from ..models import OutboxEmail, TokenGrant
from .base import AuditData, Broken, Skipped, check

CHUNK_ROWS = 10_000


@check("transfer_events", ids={"heist": "heist", "player": "player"}, numbers=("status", "expected", "found"))
def transfer_events(data: AuditData) -> Broken:
    """A success has one point event for each side, of exactly the points stolen; a heist of another status has none."""
    last = -1
    while True:
        chunk = list(
            data.heists.filter(pk__gt=last)
            .order_by("pk")
            .values_list("pk", "attacker_id", "victim_id", "points_stolen", "status")[:CHUNK_ROWS]
        )
        if not chunk:
            return
        last = chunk[-1][0]
        events = data.economy.point_events([row[0] for row in chunk])
        if events is None:
            raise Skipped("the economy keeps no point events")
        found = Counter((event.heist_id, event.player_id, event.points) for event in events)
        expected: Counter[Any] = Counter()
        for heist, attacker, victim, points, status in chunk:
            if status == HeistStatus.SUCCESS:
                expected[heist, attacker, points] += 1
                expected[heist, victim, -points] += 1
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


@check("notification_missing", ids={"heist": "pk", "player": "player"}, numbers=("type", "created_at"))
def notifications_exist(data: AuditData) -> Broken:
    """Both sides of a success, and the owner of a shield that blocked, have a notification."""
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
    )
    rows = data.notifications.exclude(heist=None)
    yield rows.annotate(right=Case(When(right, then=Value(1)), default=Value(0))).filter(right=0)


@check(
    "notification_points",
    ids={"notification": "pk", "heist": "heist_id"},
    numbers=("points", "heist__points_stolen"),
)
def notification_points(data: AuditData) -> Broken:
    """A notification of a success has the points that moved."""
    yield (
        data.notifications.filter(heist__status=HeistStatus.SUCCESS)
        .annotate(
            points=Coalesce(Cast(KT("metadata__points"), CharField()), Value("none")),
            moved=Cast("heist__points_stolen", CharField()),
        )
        .exclude(points=F("moved"))
    )


@check(
    "grant_notification_missing", ids={"grant": "pk", "player": "player_id"}, numbers=("amount", "reason", "created_at")
)
def grant_notifications(data: AuditData) -> Broken:
    """Every grant of tokens has a notification to its player."""
    ids = Cast(KT("metadata__grant_id"), CharField())
    theirs = data.notifications.filter(type=HeistNotificationType.TOKEN_EARNED, user=OuterRef("player"))
    yield (
        data.rows(TokenGrant)
        .annotate(key=Cast("pk", CharField()))
        .filter(
            ~Exists(theirs.annotate(grant=ids).filter(grant=OuterRef("key"))),
            created_at__gt=data.notifications_kept_since,
        )
    )


@check("shield_missing", ids={"heist": "pk", "victim": "victim_id"}, numbers=("created_at",))
def blocks_have_a_shield(data: AuditData) -> Broken:
    """A blocked attack used up a shield."""
    yield data.heists.filter(~Exists(data.shields.filter(used_by=OuterRef("pk"))), status=HeistStatus.FAILED_SHIELD)


@check(
    "shield_used_wrongly",
    ids={"shield": "pk", "player": "player_id", "heist": "used_by_id"},
    numbers=("used_by__status", "bought_at", "used_at", "expires_at"),
)
def used_shields(data: AuditData) -> Broken:
    """A used shield blocked an attack on its owner, at that moment, while it was live."""
    right = Q(
        used_by__status=HeistStatus.FAILED_SHIELD,
        used_by__victim=F("player"),
        used_by__created_at=F("used_at"),
        bought_at__lte=F("used_at"),
        expires_at__gt=F("used_at"),
    )
    used = data.shields.exclude(used_by=None)
    yield used.annotate(right=Case(When(right, then=Value(1)), default=Value(0))).filter(right=0)
    # The heist may have been deleted with its attacker; `used_at` stays.
    yield data.shields.filter(used_by=None).filter(Q(used_at__lt=F("bought_at")) | Q(used_at__gte=F("expires_at")))


@check("shield_expired_early", ids={"shield": "pk", "player": "player_id"}, numbers=("expires_at", "expired_at"))
def expired_shields(data: AuditData) -> Broken:
    """No shield was marked as expired before its end."""
    yield data.shields.filter(expired_at__lt=F("expires_at"))


@check(
    "shield_ignored", ids={"shield": "pk", "player": "player_id", "heist": "heist"}, numbers=("bought_at", "expires_at")
)
def ignored_shields(data: AuditData) -> Broken:
    """No success is against a player with a live shield."""
    ended = Least(Coalesce("used_at", "expires_at"), Coalesce("expired_at", "expires_at"), F("expires_at"))
    robbed = Q(
        player__heists_as_victim__status=HeistStatus.SUCCESS,
        player__heists_as_victim__token_spent=True,
        player__heists_as_victim__created_at__gt=F("bought_at"),
        player__heists_as_victim__created_at__lt=F("ended"),
    )
    yield (
        data.shields.annotate(ended=ended)
        .filter(robbed)
        .order_by()
        .values("pk")
        .annotate(heist=Min("player__heists_as_victim__pk"))
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
    notifications_exist,
    notifications_unique,
    notifications_match,
    notification_points,
    grant_notifications,
    blocks_have_a_shield,
    used_shields,
    expired_shields,
    ignored_shields,
    email_states,
)
