"""The admin: staff can read everything and edit nothing (docs/specification.md, "Admin").

The classes register themselves with the default admin site. A host with an AdminSite of its own registers them there:
`site.register(Heist, HeistAdmin)`. Links and the dashboard then stay on that site.
"""

from .attempts import AttemptLogAdmin
from .emails import EmailPreferenceAdmin, OutboxEmailAdmin
from .grants import TokenGrantAdmin
from .heists import HeistAdmin
from .notifications import HeistNotificationAdmin
from .reversals import ReversalAdmin
from .rule_changes import RuleChangeAdmin
from .rules import RuleSetAdmin
from .shields import ShieldAdmin
from .tokens import HeistTokenAdmin
from .truces import TruceAdmin
from .users import HeistLinksMixin

__all__ = [
    "AttemptLogAdmin",
    "EmailPreferenceAdmin",
    "HeistAdmin",
    "HeistLinksMixin",
    "HeistNotificationAdmin",
    "HeistTokenAdmin",
    "OutboxEmailAdmin",
    "ReversalAdmin",
    "RuleChangeAdmin",
    "RuleSetAdmin",
    "ShieldAdmin",
    "TokenGrantAdmin",
    "TruceAdmin",
]
