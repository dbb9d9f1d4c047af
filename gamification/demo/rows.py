"""Collects the rows of the simulation until they are written."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from functools import lru_cache
from itertools import count
from random import Random
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model
from django.utils import translation

from heists import conf
from heists.choices import EmailState, GrantReason, HeistNotificationType, HeistStatus
from heists.messages import failure_message, notification_message
from heists.models import Heist, HeistNotification, OutboxEmail, Reversal, RuleSet, Shield, TokenGrant, Truce
from heists.rules import Failure

from ..models import CoinEntry, CoinReason, MonthlyStanding, PointEvent
from .bulk import Bulk
from .players import EMAIL_FAILS, EMAIL_OFF, LiveShield, Player

# Sent emails leave the outbox after a while; older notifications only record that theirs was sent.
OUTBOX_AGE = dt.timedelta(days=7)
NEW_AGE = dt.timedelta(hours=1)
MOSTLY_READ_AGE = dt.timedelta(days=3)
EMAIL_DELAY = dt.timedelta(seconds=20)
MAX_EMAIL_ATTEMPTS = 8

# The fields of each model's rows, in the order in which the rows hold their values.
COLUMNS: dict[type[Model], list[str]] = {
    Heist: (
        "id attacker victim points_stolen victim_points_before victim_points_after attacker_points_before"
        " attacker_points_after attacker_tokens token_spent status failure_code failure_reason retry_at ip_address"
        " idempotency_key rule_set created_at"
    ).split(),
    Reversal: (
        "heist points_returned attacker_points_before attacker_points_after victim_points_before victim_points_after"
        " token_returned reason note reversed_by reversed_by_name created_at"
    ).split(),
    TokenGrant: "id player amount reason source note granted_by granted_by_name created_at".split(),
    Shield: "id player cost bought_at expires_at used_at used_by expired_at".split(),
    Truce: "player starts_at ends_at created_at".split(),
    HeistNotification: "id user heist type message metadata read email_sent email_sent_at created_at".split(),
    OutboxEmail: "notification state due_at attempts last_error created_at".split(),
    PointEvent: "user type points reference created_at month".split(),
    MonthlyStanding: "player month points".split(),
    CoinEntry: "user amount reason reference created_at".split(),
}

_to_json = DjangoJSONEncoder().encode


class Rows:
    """Holds the rows of a stretch of the simulation, and counts all that were written."""

    def __init__(
        self, bulk: Bulk, *, rule_set: RuleSet, now: dt.datetime, staff: Player | None, random: Random
    ) -> None:
        self.written: Counter[type[Model]] = Counter()
        self._bulk = bulk
        self._rule_set, self._now, self._random = rule_set, now, random
        # Who granted and returned: the key and the name.
        self._staff: tuple[int | None, str] = (staff.key, staff.name) if staff else (None, "")
        self._emails = conf.email_enabled()
        self._rows: dict[type[Model], list[tuple[Any, ...]]] = {model: [] for model in COLUMNS}
        self._ids = {model: count(bulk.next_id(model)) for model in (Heist, TokenGrant, Shield, HeistNotification)}
        # Per instance: translations depend on the language that is active while it is used.
        self._gettext = lru_cache(maxsize=None)(translation.gettext)
        self._failure_message = lru_cache(maxsize=65536)(failure_message)

    def pending(self) -> int:
        """Return the number of heists that are not written yet."""
        return len(self._rows[Heist])

    def write(self) -> int:
        """Insert the rows collected so far, and return the number of heists among them."""
        heists = self.pending()
        for model, rows in self._rows.items():
            if rows:
                self._bulk.insert(model, COLUMNS[model], rows)
                self.written[model] += len(rows)
                rows.clear()
        return heists

    def add_heist(self, attacker: Player, victim: Player, points: int, failure: Failure | None, at: dt.datetime) -> int:
        """Add an attempt, with its point events where points move, and return its id."""
        heist_id = next(self._ids[Heist])
        status = failure.code.status if failure else HeistStatus.SUCCESS
        is_outcome = status in HeistStatus.outcomes()
        self._rows[Heist].append(
            (
                heist_id,
                attacker.key,
                victim.key,
                points,
                victim.points,
                victim.points - points,
                attacker.points,
                attacker.points + points,
                # The simulation has taken the cost of an outcome already.
                attacker.tokens + (self._rule_set.token_cost if is_outcome else 0),
                is_outcome,
                status.value,
                failure.code.value if failure else None,
                self._failure_reason(failure) if failure else None,
                failure.retry_at if failure else None,
                f"203.0.113.{self._random.randrange(1, 255)}",
                f"{self._random.getrandbits(128):032x}" if self._random.random() < 0.5 else None,
                self._rule_set.pk,
                at,
            )
        )
        if points:
            reference = f"heist:{heist_id}"
            self._rows[PointEvent] += [
                (attacker.key, "HEIST_GAIN", points, reference, at, attacker.month),
                (victim.key, "HEIST_LOSS", -points, reference, at, victim.month),
            ]
        return heist_id

    def begin_month(self, player: Player, month: dt.date, begins_at: dt.datetime) -> None:
        """Close the player's month with a standing, and begin the next, with the points that the player earns in it."""
        if player.points:
            self._rows[MonthlyStanding].append((player.key, player.month, player.points))
        player.month, player.points = month, player.starting_points if player.active else 0
        player.total_points += player.points
        if player.points:
            earned = (player.key, "ACHIEVEMENT_UNLOCK", player.points, "", begins_at, month)
            self._rows[PointEvent].append(earned)

    def _failure_reason(self, failure: Failure) -> str:
        # The sentence names the minute, which many failures share.
        minute = failure.retry_at and failure.retry_at.replace(second=0, microsecond=0)
        return self._failure_message(failure.code.value, minute, self._gettext)

    def add_grant(
        self, player: Player, amount: int, reason: GrantReason, at: dt.datetime, source: str = "", **referred: Any
    ) -> int:
        """Add a token grant and its notification, and return its id."""
        grant_id = next(self._ids[TokenGrant])
        granted_by = self._staff if reason in (GrantReason.STAFF, GrantReason.REFUND) else (None, "")
        note = "after a complaint" if reason == GrantReason.REFUND else ""
        self._rows[TokenGrant].append(
            (grant_id, player.key, amount, reason.value, source or f"demo:{grant_id}", note, *granted_by, at)
        )
        details = {"grant_id": grant_id, "reason": reason.value, "amount": amount, **referred}
        self.add_notification(HeistNotificationType.TOKEN_EARNED, player, at, **details)
        return grant_id

    def add_correction(self, grant_id: int, player: Player, amount: int, at: dt.datetime) -> None:
        """Add the correction of a grant, which nobody is notified of."""
        correction, source = GrantReason.CORRECTION.value, f"correction:{grant_id}"
        row = (next(self._ids[TokenGrant]), player.key, -amount, correction, source, "the wrong player")
        self._rows[TokenGrant].append((*row, *self._staff, at))

    def add_reversal(
        self, heist_id: int, attacker: Player, victim: Player, points: int, *, token_returned: bool, at: dt.datetime
    ) -> None:
        """Add the reversal of a heist, with its point events and notifications."""
        balances = (attacker.points, attacker.points - points, victim.points, victim.points + points)
        reason, note = "two accounts of one person", "Please play with one account."
        self._rows[Reversal].append((heist_id, points, *balances, token_returned, reason, note, *self._staff, at))
        reference = f"reversal:{heist_id}"
        self._rows[PointEvent] += [
            (attacker.key, "HEIST_GAIN", -points, reference, at, attacker.month),
            (victim.key, "HEIST_LOSS", points, reference, at, victim.month),
        ]
        details = {
            "attacker_id": attacker.key,
            "attacker_name": attacker.name,
            "victim_id": victim.key,
            "victim_name": victim.name,
            "points": points,
            "note": note,
        }
        for player in (attacker, victim):
            self.add_notification(HeistNotificationType.HEIST_REVERSED, player, at, heist_id, **details)

    def open_shield(self, player: Player, at: dt.datetime, expires_at: dt.datetime) -> LiveShield:
        """Add the coins that a shield costs. `close_shield` adds its own row."""
        shield = LiveShield(next(self._ids[Shield]), player, at, expires_at)
        if cost := self._rule_set.shield_cost:
            self._rows[CoinEntry].append((player.key, -cost, CoinReason.SHIELD.value, f"shield:{shield.id}", at))
        return shield

    def close_shield(
        self,
        shield: LiveShield,
        *,
        used_at: dt.datetime | None = None,
        used_by: int | None = None,
        expired_at: dt.datetime | None = None,
    ) -> None:
        """Add the row of a shield; without `used_at` and `expired_at` it is live at the end."""
        cost = self._rule_set.shield_cost
        self._rows[Shield].append(
            (shield.id, shield.player.key, cost, shield.bought_at, shield.expires_at, used_at, used_by, expired_at)
        )

    def add_truce(self, player: Player, starts_at: dt.datetime, ends_at: dt.datetime | None, at: dt.datetime) -> None:
        """Add a truce that the player asked for at `at`."""
        self._rows[Truce].append((player.key, starts_at, ends_at, at))

    def add_notification(
        self, type: HeistNotificationType, player: Player, at: dt.datetime, heist_id: int | None = None, **details: Any
    ) -> None:
        """Add a notification, with its email where the player has an address."""
        notification_id = next(self._ids[HeistNotification])
        sent_at = self._add_email(notification_id, player, at) if player.email and self._emails else None
        age = self._now - at
        read = age > NEW_AGE and self._random.random() < (0.9 if age > MOSTLY_READ_AGE else 0.3)
        message = notification_message(type, details, self._gettext) or type
        self._rows[HeistNotification].append(
            (
                notification_id,
                player.key,
                heist_id,
                type.value,
                message,
                _to_json(details),
                read,
                sent_at is not None,
                sent_at,
                at,
            )
        )

    def _add_email(self, notification_id: int, player: Player, at: dt.datetime) -> dt.datetime | None:
        """Add an email that the outbox still holds, and return when it was sent, or None."""
        age = self._now - at
        state, attempts, error = EmailState.SENT, 1, ""
        if player.name == EMAIL_OFF:
            state, attempts = EmailState.SKIPPED, 0
        elif player.name == EMAIL_FAILS:
            state, attempts, error = EmailState.FAILED, MAX_EMAIL_ATTEMPTS, "550 no such mailbox"
        elif age < NEW_AGE:
            state, attempts = EmailState.WAITING, 0
        if age < OUTBOX_AGE:
            self._rows[OutboxEmail].append((notification_id, state.value, at, attempts, error, at))
        return at + EMAIL_DELAY if state == EmailState.SENT else None
