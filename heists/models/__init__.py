"""What the database guarantees, on PostgreSQL and SQLite alike (docs/specification.md, "Data"; docs/law.md).

1. A token balance is never negative and is always `total_earned - total_spent`.
2. `total_earned` is the sum of the player's grants; the same source is granted once. Only a correction is negative.
3. Every attempt is one heist. An outcome (SUCCESS, FAILED_SHIELD) spends the token. A rejection spends and moves
   nothing.
4. A transfer is balanced: the victim loses and the attacker gains exactly `points_stolen`; only a SUCCESS steals.
5. Nobody robs themselves: such an attempt is FAILED_INVALID_TARGET.
6. The same idempotency key of the same player is the same heist.
7. A player has one live shield at most; a shield blocks one attack.
8. A player has one open truce at most, and a truce does not end before it starts.
9. Every heist refers to the rules it was judged by, and rule sets are never edited.
10. A heist is never edited, except for its address, and is deleted only together with one of its players. (SQLite does
   not reject the deletion; `audit_heists` reports it.)
11. A success is reversed once at most. A reversal is balanced, returns at least one point, and is never edited.
12. A rule change names rules, or is a switch; of each kind, there is one for a moment. It is never edited.

Constraints and triggers reject everything else, from any writer.
"""

from ..choices import EmailState, FailureCode, GrantReason, HeistNotificationType, HeistStatus, RuleChangeKind
from .base import AppendOnlyError
from .emails import EmailPreference, EmailPreferenceQuerySet, OutboxEmail, OutboxEmailQuerySet
from .heists import AttemptLog, Heist, HeistQuerySet
from .notifications import HeistNotification, HeistNotificationQuerySet
from .reversals import Reversal
from .rules import RuleChange, RuleChangeQuerySet, RuleSet, RuleSetQuerySet
from .shields import Shield, ShieldQuerySet
from .tokens import DeletedLoss, HeistToken, TokenGrant
from .truces import Truce, TruceQuerySet

__all__ = [
    "AppendOnlyError",
    "AttemptLog",
    "DeletedLoss",
    "EmailPreference",
    "EmailPreferenceQuerySet",
    "EmailState",
    "FailureCode",
    "GrantReason",
    "Heist",
    "HeistNotification",
    "HeistNotificationQuerySet",
    "HeistNotificationType",
    "HeistQuerySet",
    "HeistStatus",
    "HeistToken",
    "OutboxEmail",
    "OutboxEmailQuerySet",
    "Reversal",
    "RuleChange",
    "RuleChangeKind",
    "RuleChangeQuerySet",
    "RuleSet",
    "RuleSetQuerySet",
    "Shield",
    "ShieldQuerySet",
    "TokenGrant",
    "Truce",
    "TruceQuerySet",
]
