"""Judges each rejection again by its own rules (docs/specification.md, "Replay").

What an outcome had to pass is checked rule by rule, beside this: see `cooldowns`, `heists`, `truces` and `shields`.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, Min, OuterRef

from ..choices import FailureCode
from ..queries.replay import FIELDS, Attempt, History
from ..rules import CLOCK_TOLERANCE, month_start
from .base import AuditData, Broken, check
from .heists import READ_TOLERANCE

# Codes of which the host alone knows whether they are right: whether an account was active, or when it was made.
OF_THE_HOST = frozenset({FailureCode.INACTIVE_TARGET, FailureCode.NEWCOMER})
# Codes that may rest on outcomes of the attacker, or of others, that were deleted with an account.
OF_ATTACKERS_PAST = frozenset({FailureCode.COOLDOWN, FailureCode.DAILY_LIMIT})
OF_VICTIMS_PAST = frozenset({FailureCode.PROTECTED, FailureCode.LOSS_LIMIT})


@check(
    "heist_rejection",
    ids={"heist": "pk", "attacker": "attacker", "victim": "victim"},
    numbers=("failure_code", "replayed", "created_at"),
)
def rejections(data: AuditData) -> Broken:
    """A rejection has the code of the first rule that failed, by its own rules."""
    history = History(data.using, deleted=data.deleted_losses)
    attackers, victims = _first_deleted(data, "attacker"), _first_deleted(data, "victim")
    for chunk in data.heists_in_chunks(*FIELDS[1:]):
        for attempt in map(Attempt._make, chunk):
            if attempt.token_spent:
                history.add(attempt)
                continue
            replayed = _differs(attempt, history)
            if replayed is None:
                if attempt.code in OF_THE_HOST:
                    data.unknown["the host alone knows"] += 1
            elif _rests_on_deleted(attempt, attackers, OF_ATTACKERS_PAST, attempt.attacker) or _rests_on_deleted(
                attempt, victims, OF_VICTIMS_PAST, attempt.victim
            ):
                data.unknown["an account was deleted"] += 1
            else:
                yield {
                    "pk": attempt.pk,
                    "attacker": attempt.attacker,
                    "victim": attempt.victim,
                    "failure_code": attempt.code,
                    "replayed": replayed,
                    "created_at": attempt.at,
                }


def _differs(attempt: Attempt, history: History) -> str | None:
    """Return how the attempt ends by its own rules, where that is not what was recorded; None where it is."""
    rules = history.rule_sets[attempt.rule_set]
    joined_at = attempt.at if attempt.code == FailureCode.NEWCOMER else None
    replayed = history.judge(attempt, rules, joined_at=joined_at)
    if replayed == attempt.result:
        return None
    # A rejection takes no lock: an outcome may have been committed only after its facts were read.
    for seen_before in history.events_since(attempt, attempt.at - READ_TOLERANCE):
        if history.judge(attempt, rules, joined_at=joined_at, seen_before=seen_before) == attempt.result:
            return None
    # In the first second of a month, a host whose clock is behind may still let a truce begin, end or continue.
    truce = {attempt.code, replayed.code}.intersection(FailureCode.truces())
    if truce and attempt.at < month_start(rules, attempt.at) + CLOCK_TOLERANCE:
        return None
    return replayed.code or "success"


def _first_deleted(data: AuditData, role: str) -> dict[Any, int]:
    """Return the first heist of each player in this role that was deleted, by player."""
    gone = data.attempt_log.filter(~Exists(data.heists.filter(pk=OuterRef("pk"))))
    return dict(gone.values_list(role).annotate(first=Min("pk")))


def _rests_on_deleted(attempt: Attempt, deleted: dict[Any, int], codes: frozenset[FailureCode], player: Any) -> bool:
    return attempt.code in codes and player in deleted and deleted[player] < attempt.pk


CHECKS = (rejections,)
