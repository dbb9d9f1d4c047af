"""The staff's door: everything can be read, nothing edited (spec section 7).

The classes register themselves with the default admin site. A host with a site of its own registers them there:
`site.register(Heist, HeistAdmin)`; links and the dashboard then stay on that site.
"""

from .heists import HeistAdmin
from .links import HeistLinksMixin
from .notices import HeistNotificationAdmin, LetterAdmin, LetterPreferenceAdmin
from .records import RuleSetAdmin, ShieldAdmin, TokenGrantAdmin
from .tokens import HeistTokenAdmin

__all__ = [
    "HeistAdmin",
    "HeistLinksMixin",
    "HeistNotificationAdmin",
    "HeistTokenAdmin",
    "LetterAdmin",
    "LetterPreferenceAdmin",
    "RuleSetAdmin",
    "ShieldAdmin",
    "TokenGrantAdmin",
]
