"""Execute a heist (docs/specification.md, "The rules")."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connections, router, transaction
from django.utils import timezone, translation

from .. import in_force, signals
from ..choices import FailureCode, HeistNotificationType, HeistStatus
from ..db.atomic import durable_atomic, require_outermost
from ..db.compiled import CompiledQuery, Param
from ..db.retry import StaleRead, retry_transient
from ..economy import Economy, get_economy
from ..errors import FeatureDisabled, IdempotencyKeyReused, InactiveAccount
from ..messages import failure_message
from ..models import Heist, HeistToken, RuleSet, RuleSetQuerySet, Shield
from ..queries import facts
from ..rules import Failure
from ..user_model import player_key
from . import notifications

logger = logging.getLogger("heists")

# One line an attempt. The record has the same names as attributes, for a JSON formatter.
LOG_LINE = (
    "heist=%(heist_id)s attacker=%(attacker_id)s victim=%(victim_id)s status=%(status)s code=%(failure_code)s "
    "points=%(points_stolen)s"
)

# As a queryset, this update would add to the processor time of each heist (docs/performance.md).
SPEND_TOKEN = """
    UPDATE heists_heisttoken SET balance = %s, total_spent = %s, last_spent_at = %s, updated_at = %s
    WHERE id = %s AND balance = %s AND total_spent = %s
"""  # noqa: S105 - a statement, not a password


def execute_heist(
    *, attacker_id: Any, victim_id: Any, ip_address: str | None = None, idempotency_key: str | None = None
) -> Heist:
    """Execute a heist of `attacker_id` on `victim_id`; return its row, an outcome or a rejection.

    1. Read the facts without a lock. If a rule fails, record the rejection: no other player waits for it.
    2. Lock both players' balances in primary-key order, and read the facts again.
    3. Apply every rule again, then the last one: a live shield of the victim blocks the heist. Where a new month began
       while the attempt waited, or the rules or the switch changed, the attempt is judged again from the first step.
    4. Insert the heist; the unique idempotency key decides between two equal requests. Spend the token.
    5. Move the points, or use up the shield. Write the notifications and their emails.

    Steps 2 to 5 are one durable transaction. The same key again returns the same heist, rejections included.

    Raises FeatureDisabled, UnknownPlayer (no player has the id, so there is no attempt), InactiveAccount (the
    attacker's own), IdempotencyKeyReused (the key was used for another victim), Busy, OutcomeUnknown (only without a
    key).
    """
    using = router.db_for_write(Heist)
    require_outermost(using)
    return _attempt(player_key(attacker_id), player_key(victim_id), ip_address, idempotency_key, using)


@retry_transient
def _attempt(attacker_id: Any, victim_id: Any, ip_address: str | None, key: str | None, using: str) -> Heist:
    changes, now = in_force.changes(using), timezone.now()
    if not changes.enabled(now):
        if replayed := _replay(attacker_id, victim_id, key, using):
            return replayed
        raise FeatureDisabled
    economy, rules = get_economy(), changes.rules(now)
    query = facts.query(attacker_id, [victim_id], economy=economy, rules=rules, now=now, using=using)

    def read() -> facts.Facts:
        now = timezone.now()
        if not (changes.is_fresh and changes.enabled(now) and query.is_current(changes.rules(now), now)):
            # While this attempt waited for its locks, the month turned, the rules changed, heists were switched off, or
            # the copy of the changes became too old to say so: it begins again.
            raise StaleRead
        found = query.fetch(now)
        if not found.attacker.active:
            raise InactiveAccount
        return found

    seen = read()
    victim = seen.victim(victim_id)
    if seen.attacker.token is None:
        HeistToken.objects.using(using).create(user_id=attacker_id)
    rule_set = RuleSet.objects.using(using).in_force(rules, schema=seen.schema)
    heist = Heist(
        attacker=seen.attacker.user,
        victim=victim.user,
        rule_set=rule_set,
        ip_address=ip_address,
        idempotency_key=key,
    )
    try:
        if failure := next(seen.failures(victim), None):
            if replayed := _replay(attacker_id, victim_id, key, using):
                return replayed
            _insert_heist(heist, seen, failure, using)
        else:
            if victim.token is None:
                # Here a trigger keeps the victim's loss if the attacker's account is deleted.
                HeistToken.objects.using(using).create(user_id=victim_id)
            with durable_atomic(using, repeatable=key is not None):
                economy.lock(attacker_id, victim_id)
                _execute(heist, read(), economy, using)
    except IntegrityError:
        if replayed := _replay(attacker_id, victim_id, key, using):
            return replayed
        # The rule set may have been deleted, by a flush; the retry creates it again.
        RuleSetQuerySet.clear_cache()
        raise
    _announce(heist, using)
    return heist


def _execute(heist: Heist, seen: facts.Facts, economy: Economy, using: str) -> None:
    """Judge on locked rows and write the result. The caller holds the transaction and the locks."""
    victim = seen.victim(heist.victim_id)
    failure = next(seen.failures(victim), None)
    if failure is None and victim.shield_id is not None:
        failure = Failure(FailureCode.SHIELD)
    _insert_heist(heist, seen, failure, using)
    if not heist.is_outcome:
        return
    _spend_token(heist, seen, using)
    if victim.shield_id is None:
        economy.transfer(heist)
    else:
        _use_shield(heist, victim.shield_id, using)
    _notify(heist, seen, economy, using)


def _insert_heist(heist: Heist, seen: facts.Facts, failure: Failure | None, using: str) -> None:
    """Insert the audit row. Of two equal requests, one waits here on the key's unique index and then fails."""
    attacker, victim = seen.attacker, seen.victim(heist.victim_id)
    points = 0 if failure else seen.amount(victim)
    heist.attacker_token = attacker.token or HeistToken(user_id=attacker.user.pk)
    heist.status = failure.code.status if failure else HeistStatus.SUCCESS
    heist.points_stolen = points
    heist.victim_points_before = victim.monthly_points
    heist.victim_points_after = victim.monthly_points - points
    heist.attacker_points_before = attacker.monthly_points
    heist.attacker_points_after = attacker.monthly_points + points
    heist.attacker_tokens = attacker.as_attacker().tokens
    heist.token_spent = heist.status in HeistStatus.outcomes()
    if failure:
        heist.failure_code = failure.code
        with translation.override(settings.LANGUAGE_CODE):
            heist.failure_reason = failure_message(failure.code, failure.retry_at)
        heist.retry_at = failure.retry_at
    heist.created_at = seen.now
    # With save(), so that a host's post_save receivers run.
    heist.save(using=using)


def _spend_token(heist: Heist, seen: facts.Facts, using: str) -> None:
    """Take the cost from the balance that was judged. Raises StaleRead where it changed meanwhile, by a grant."""
    token, cost, connection = heist.attacker_token, seen.rules.token_cost, connections[using]
    now, judged = connection.ops.adapt_datetimefield_value(seen.now), (token.balance, token.total_spent)
    token.balance -= cost
    token.total_spent += cost
    token.last_spent_at = token.updated_at = seen.now
    with connection.cursor() as cursor:
        cursor.execute(SPEND_TOKEN, [token.balance, token.total_spent, now, now, token.pk, *judged])
        if cursor.rowcount != 1:
            raise StaleRead


def _use_shield(heist: Heist, shield_id: int, using: str) -> None:
    """Use up the shield that was judged live. Raises StaleRead where `expire_shields` marked it meanwhile."""
    if not Shield.objects.using(using).open().filter(pk=shield_id).update(used_at=heist.created_at, used_by=heist):
        raise StaleRead


def _notify(heist: Heist, seen: facts.Facts, economy: Economy, using: str) -> None:
    shared: dict[str, Any] = {
        "heist_id": heist.pk,
        "attacker_id": heist.attacker_id,
        "attacker_name": economy.name(heist.attacker),
        "victim_id": heist.victim_id,
        "victim_name": economy.name(heist.victim),
        "now": seen.now,
    }
    if heist.status == HeistStatus.FAILED_SHIELD:
        built = [notifications.build(HeistNotificationType.SHIELD_ACTIVATED, user=heist.victim, **shared)]
    else:
        shared["points"] = heist.points_stolen
        until = seen.now + seen.rules.protection
        built = [
            notifications.build(HeistNotificationType.HEIST_SUCCESS, user=heist.attacker, **shared),
            notifications.build(
                HeistNotificationType.HEIST_VICTIM, user=heist.victim, protection_until=until, **shared
            ),
        ]
    notifications.record(*built, economy=economy, using=using)


def _replay(attacker_id: Any, victim_id: Any, key: str | None, using: str) -> Heist | None:
    """Return the heist of this key; None where there is none. Raises IdempotencyKeyReused for another victim."""
    if key is None:
        return None
    found: Heist | None = next(iter(_heist_of_key(using).fetch({"attacker": attacker_id, "key": key})), None)
    if found and found.victim_id != victim_id:
        raise IdempotencyKeyReused
    return found


@cache
def _heist_of_key(using: str) -> CompiledQuery:
    """Return the query for the heist of an attacker's key. Each rejection with a key runs it."""
    attacker: Any = Param("attacker", Heist._meta.get_field("attacker"))
    key: Any = Param("key", Heist._meta.get_field("idempotency_key"))
    heists = Heist.objects.using(using).select_related("attacker", "victim", "attacker_token", "rule_set")
    return CompiledQuery(heists.filter(attacker=attacker, idempotency_key=key))


def _announce(heist: Heist, using: str) -> None:
    """Write the log line and send the signal, after the commit."""

    def announce() -> None:
        # Neither the address nor the idempotency key: retention does not reach logs.
        line = {
            "heist_id": heist.pk,
            "attacker_id": heist.attacker_id,
            "victim_id": heist.victim_id,
            "status": str(heist.status),
            "failure_code": str(heist.failure_code or "-"),
            "points_stolen": heist.points_stolen,
        }
        logger.info(LOG_LINE, line, extra=line)
        signals.heist_attempted.send_robust(Heist, heist=heist)

    transaction.on_commit(announce, using=using, robust=True)
