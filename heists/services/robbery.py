"""The deed: one player robs another (spec section 4)."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

from django.conf import settings
from django.db import IntegrityError, router, transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from .. import conf, facts, notifications, prepared, signals
from ..choices import FailureCode, HeistNotificationType, HeistStatus
from ..economy import Economy, get_economy
from ..errors import FeatureDisabled, IdempotencyKeyReused, InactiveAccount
from ..models import Heist, HeistToken, RuleSet, Shield
from ..prepared import Given, Prepared
from ..retry import Outdated, retried, transacted
from ..rules import Refusal
from ..sentences import refusal_sentence

logger = logging.getLogger("heists")

# One line an attempt, as key=value pairs; a formatter for JSON finds the same names on the record.
LOG_LINE = (
    "heist=%(heist_id)s attacker=%(attacker_id)s victim=%(victim_id)s status=%(status)s code=%(failure_code)s "
    "points=%(points_stolen)s"
)


def execute_heist(
    *, attacker_id: Any, victim_id: Any, ip_address: str | None = None, idempotency_key: str | None = None
) -> Heist:
    """Rob `victim_id` in the name of `attacker_id`, and return the heist: an outcome or a rejection.

    1. Read the facts without a lock; where the rules say no, record the rejection and make nobody wait.
    2. Lock both players' balances, in primary-key order, and read the facts again.
    3. Ask every question again; then the last one, the victim's live shield.
    4. Write the heist, whose idempotency key decides between two equal requests; spend the token.
    5. Move the points, or use up the shield; write the notifications and their letters.

    Step 2 to 5 are one durable transaction. The same key again returns the same heist, rejections included.

    Raises FeatureDisabled, UnknownPlayer (the id is nobody's, so there is no attempt), InactiveAccount (the attacker's
    own), IdempotencyKeyReused (the key came with another victim), Busy, OutcomeUnknown (without a key only).
    """
    using = router.db_for_write(Heist)
    if not conf.enabled():
        if replayed := _replay(attacker_id, victim_id, idempotency_key, using):
            return replayed
        raise FeatureDisabled
    return _attempt(attacker_id, victim_id, ip_address, idempotency_key, using)


@retried
def _attempt(attacker_id: Any, victim_id: Any, ip_address: str | None, key: str | None, using: str) -> Heist:
    economy = get_economy()
    rule_set = RuleSet.objects.using(using).in_force(conf.rules())

    question = facts.question(
        attacker_id, [victim_id], economy=economy, numbers=rule_set.rules, now=timezone.now(), using=using
    )

    def read() -> facts.Facts:
        found = question.ask(timezone.now())
        if not found.attacker.active:
            raise InactiveAccount
        return found

    seen = read()
    victim = seen.victim(victim_id)
    if seen.attacker.token is None:
        HeistToken.objects.using(using).create(user_id=attacker_id)

    heist = Heist(
        attacker=seen.attacker.user,
        victim=victim.user,
        rules=rule_set,
        ip_address=ip_address,
        idempotency_key=key,
    )
    try:
        if refusal := next(seen.refusals(victim), None):
            if replayed := _replay(attacker_id, victim_id, key, using):
                return replayed
            _refuse(heist, seen, refusal, using)
        else:
            with transacted(using, repeatable=key is not None):
                economy.lock(attacker_id, victim_id)
                seen = read()
                _carry_out(heist, seen, economy, using)
    except IntegrityError:
        if replayed := _replay(attacker_id, victim_id, key, using):
            return replayed
        raise
    _announce(heist, using)
    return heist


def _carry_out(heist: Heist, seen: facts.Facts, economy: Economy, using: str) -> None:
    """Judge on locked rows, and do what the judgement says. The caller holds the transaction and the locks."""
    victim = seen.victim(heist.victim_id)
    if refusal := next(seen.refusals(victim), None):
        _refuse(heist, seen, refusal, using)
        return
    if victim.shield_id is None:
        _record(heist, seen, HeistStatus.SUCCESS, points=seen.amount(victim), refusal=None, using=using)
        _spend_token(heist, seen, using)
        economy.transfer(heist)
    else:
        _refuse(heist, seen, Refusal(FailureCode.SHIELD), using)
        _spend_token(heist, seen, using)
        _use_shield(heist, victim.shield_id, using)
    _notify(heist, seen, economy, using)


def _refuse(heist: Heist, seen: facts.Facts, refusal: Refusal, using: str) -> None:
    _record(heist, seen, refusal.code.status, points=0, refusal=refusal, using=using)


def _record(
    heist: Heist, seen: facts.Facts, status: HeistStatus, *, points: int, refusal: Refusal | None, using: str
) -> None:
    """Write the audit row. The key's unique index makes one of two equal requests wait here, and then fail."""
    attacker, victim = seen.attacker, seen.victim(heist.victim_id)
    heist.attacker_token = attacker.token or HeistToken(user_id=attacker.user.pk)
    heist.status = status
    heist.points_stolen = points
    heist.victim_points_before = victim.monthly_points
    heist.victim_points_after = victim.monthly_points - points
    heist.attacker_points_before = attacker.monthly_points
    heist.attacker_points_after = attacker.monthly_points + points
    heist.token_spent = status in HeistStatus.outcomes()
    if refusal:
        heist.failure_code = refusal.code
        with translation.override(settings.LANGUAGE_CODE):
            heist.failure_reason = refusal_sentence(refusal.code, refusal.retry_at)
        heist.retry_at = refusal.retry_at
    heist.created_at = seen.now
    heist.save(force_insert=True, using=using)


def _spend_token(heist: Heist, seen: facts.Facts, using: str) -> None:
    """Take the price from the balance that was judged. Raises Outdated where it has changed since, say by a grant."""
    token, price = heist.attacker_token, seen.numbers.token_cost
    judged = {"balance": token.balance, "total_spent": token.total_spent, "last_spent_at": token.last_spent_at}
    token.balance -= price
    token.total_spent += price
    token.last_spent_at = token.updated_at = seen.now
    spent = {
        "balance": token.balance,
        "total_spent": token.total_spent,
        "last_spent_at": seen.now,
        "updated_at": seen.now,
    }
    if not prepared.update(HeistToken, where={"user": heist.attacker_id, **judged}, to=spent, using=using):
        raise Outdated


def _use_shield(heist: Heist, shield_id: int, using: str) -> None:
    """Use up the shield that was judged live. Raises Outdated where `expire_shields` was quicker."""
    open_shield = Shield.objects.using(using).filter(pk=shield_id, used_at=None, expired_at=None)
    if not open_shield.update(used_at=heist.created_at, used_by=heist):
        raise Outdated


def _notify(heist: Heist, seen: facts.Facts, economy: Economy, using: str) -> None:
    told: dict[str, Any] = {
        "heist_id": heist.pk,
        "attacker_id": heist.attacker_id,
        "attacker_name": economy.name(heist.attacker),
        "victim_id": heist.victim_id,
        "victim_name": economy.name(heist.victim),
        "now": seen.now,
    }
    if heist.status == HeistStatus.FAILED_SHIELD:
        news = [notifications.build(HeistNotificationType.SHIELD_ACTIVATED, user=heist.victim, **told)]
    else:
        told["points"] = heist.points_stolen
        until = seen.now + seen.numbers.protection
        news = [
            notifications.build(HeistNotificationType.HEIST_SUCCESS, user=heist.attacker, **told),
            notifications.build(HeistNotificationType.HEIST_VICTIM, user=heist.victim, protection_until=until, **told),
        ]
    notifications.send(*news, economy=economy, using=using)


def _replay(attacker_id: Any, victim_id: Any, key: str | None, using: str) -> Heist | None:
    """Return the heist this key stands for, if there is one. Raises IdempotencyKeyReused for another victim."""
    if key is None:
        return None
    found = next(iter(_heists_of_a_key(using).ask({"attacker": attacker_id, "key": key})), None)
    if found and found.victim_id != victim_id:
        raise IdempotencyKeyReused
    return found


@cache
def _heists_of_a_key(using: str) -> Prepared:
    """Return the query for the one heist that an attacker's key stands for, with all that an answer tells of it."""
    attacker: Any = Given("attacker", Heist._meta.get_field("attacker"))
    key: Any = Given("key", Heist._meta.get_field("idempotency_key"))
    told = Heist.objects.using(using).select_related("attacker", "victim", "attacker_token", "rules")
    return Prepared(told.filter(attacker=attacker, idempotency_key=key))


def _announce(heist: Heist, using: str) -> None:
    """Tell the log and the host, after the commit; whoever listens can't undo the deed."""

    def tell() -> None:
        # Neither the address nor the idempotency key: what a log keeps is out of the retention's reach.
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

    transaction.on_commit(tell, using=using, robust=True)


def success_message(heist: Heist, economy: Economy) -> str:
    """What the attacker reads about an outcome, in the language of the moment."""
    if heist.status == HeistStatus.FAILED_SHIELD:
        return _("%(victim)s had a shield. Your heist was blocked and your token is gone.") % {
            "victim": economy.name(heist.victim)
        }
    return notifications.sentence(
        HeistNotificationType.HEIST_SUCCESS,
        {"victim_name": economy.name(heist.victim), "points": heist.points_stolen},
    ) or str(heist)
