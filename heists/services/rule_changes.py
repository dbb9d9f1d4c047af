"""Change the rules, and switch heists off and on (docs/specification.md, "Rule changes")."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db import connections, router, transaction
from django.utils import timezone

from .. import conf, in_force
from ..choices import RuleChangeKind
from ..db.atomic import durable_atomic, require_outermost
from ..db.retry import retry_transient
from ..errors import InvalidRuleChange, MomentOutOfRange, MomentTaken, NothingToChange, RulesChangedMeanwhile
from ..models import RuleChange, RuleSet
from ..models.rules import RULE_CHANGE_TEXT_MAX_LENGTH
from ..rules import CLOCK_TOLERANCE, LEAST_NOTICE, RULE_FIELDS, Rules
from ..user_model import staff_name

logger = logging.getLogger("heists")

LOG_LINE = "rule change=%(change_id)s kind=%(kind)s takes_effect_at=%(takes_effect_at)s"
MOST_NOTICE = dt.timedelta(days=366)


def change_rules(
    *, rules: Rules, takes_effect_at: dt.datetime, changed_by: Any, reason: str, seen_change: int | None = None
) -> RuleChange:
    """Put other rules in force from a moment on, and return the change.

    `rules` are all numbers; their time zone does not count. The moment lies at least a minute ahead, and a year at
    most. `seen_change` is the id of the newest change of the rules that the member of staff saw, 0 for none.

    One durable transaction, which waits for other changes. Raises InvalidRuleChange (code_detail, minimum, maximum),
    MomentOutOfRange (earliest, latest), MomentTaken (at, by), RulesChangedMeanwhile (at, by), NothingToChange, Busy,
    OutcomeUnknown.
    """
    using = router.db_for_write(RuleChange)
    require_outermost(using)
    _validate_text(reason)
    for name in RULE_FIELDS:
        if (setting := conf.SETTINGS.get(name.upper())) and not setting.accepts(getattr(rules, name)):
            raise InvalidRuleChange(code_detail=name, minimum=setting.minimum, maximum=setting.maximum)
    return _change_rules(rules, takes_effect_at, changed_by, reason, seen_change, using)


def switch_heists(*, enabled: bool, changed_by: Any, reason: str) -> RuleChange:
    """Switch heists off or on, and return the change. It counts within ten seconds.

    While `HEISTS["ENABLED"]` is False, they are off, whatever the switch says.

    One durable transaction, which waits for other changes. Raises InvalidRuleChange (code_detail), NothingToChange,
    Busy, OutcomeUnknown.
    """
    using = router.db_for_write(RuleChange)
    require_outermost(using)
    _validate_text(reason)
    return _switch(enabled, changed_by, reason, using)


def _validate_text(reason: str) -> None:
    if not reason.strip() or len(reason) > RULE_CHANGE_TEXT_MAX_LENGTH or "\x00" in reason:
        raise InvalidRuleChange(code_detail="reason")


@retry_transient
def _change_rules(
    rules: Rules, takes_effect_at: dt.datetime, by: Any, reason: str, seen_change: int | None, using: str
) -> RuleChange:
    with durable_atomic(using, repeatable=False):
        now, changes = _lock(using), RuleChange.objects.using(using).filter(kind=RuleChangeKind.RULES)
        if not now + LEAST_NOTICE <= takes_effect_at <= now + MOST_NOTICE:
            raise MomentOutOfRange(earliest=now + LEAST_NOTICE, latest=now + MOST_NOTICE)
        if known := changes.filter(takes_effect_at=takes_effect_at).first():
            raise MomentTaken(at=known.takes_effect_at, by=known.changed_by_name)
        newest = changes.order_by("-pk").first()
        if seen_change is not None and (newest.pk if newest else 0) != seen_change:
            raise RulesChangedMeanwhile(at=newest and newest.created_at, by=newest and newest.changed_by_name)
        before = changes.select_related("rule_set").filter(takes_effect_at__lt=takes_effect_at)
        last = before.order_by("-takes_effect_at").first()
        rules = replace(rules, time_zone=settings.TIME_ZONE)
        in_force_then = last.rule_set.rules if last and last.rule_set else conf.rules()
        if replace(in_force_then, time_zone=settings.TIME_ZONE) == rules:
            raise NothingToChange
        rule_set = RuleSet.objects.using(using).in_force(rules)
        return _insert(RuleChangeKind.RULES, takes_effect_at, by, reason, now, using, rule_set=rule_set)


@retry_transient
def _switch(enabled: bool, by: Any, reason: str, using: str) -> RuleChange:
    with durable_atomic(using, repeatable=False):
        now, changes = _lock(using), RuleChange.objects.using(using).filter(kind=RuleChangeKind.SWITCH)
        # By another host, whose clock is ahead: this change comes after it.
        last = changes.filter(takes_effect_at__lte=now + CLOCK_TOLERANCE).order_by("-takes_effect_at").first()
        if enabled == (last is None or bool(last.enabled)):
            raise NothingToChange
        moment = max(now, last.takes_effect_at + dt.timedelta(microseconds=1)) if last else now
        return _insert(RuleChangeKind.SWITCH, moment, by, reason, now, using, enabled=enabled)


def _lock(using: str) -> dt.datetime:
    """Make other changes wait until the end of this transaction, and return the time. Nobody who reads waits."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE heists_rulechange IN SHARE ROW EXCLUSIVE MODE")
    return timezone.now()


def _insert(
    kind: RuleChangeKind,
    takes_effect_at: dt.datetime,
    by: Any,
    reason: str,
    now: dt.datetime,
    using: str,
    **value: Any,
) -> RuleChange:
    change = RuleChange(
        kind=kind,
        takes_effect_at=takes_effect_at,
        changed_by=by,
        changed_by_name=staff_name(by),
        reason=reason,
        created_at=now,
        **value,
    )
    change.save(using=using)

    def announce() -> None:
        in_force.forget()
        line = {"change_id": change.pk, "kind": str(kind), "takes_effect_at": takes_effect_at}
        logger.info(LOG_LINE, line, extra=line)

    transaction.on_commit(announce, using=using, robust=True)
    return change
