"""Signals for hosts that want to listen, each sent after the commit of what it tells of.

A receiver that raises is logged and harms nothing: the deed is done.
"""

from django.dispatch import Signal

# Every attempt, outcome or rejection. Sent by Heist; arguments: heist.
heist_attempted = Signal()
# A gain of tokens. Sent by TokenGrant; arguments: grant.
tokens_granted = Signal()
# A shield was bought, or expired unused. Sent by Shield; arguments: shield. One that blocked is told by its heist.
shield_bought = Signal()
shield_expired = Signal()
