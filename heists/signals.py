"""Signals for hosts, sent after the commit. A receiver that raises is logged and changes nothing."""

from django.dispatch import Signal

# After each attempt, outcome or rejection. Sender: Heist. Argument: heist.
heist_attempted = Signal()
# After each grant of tokens. Sender: TokenGrant. Argument: grant.
tokens_granted = Signal()
# After a purchase, and after a shield expired unused. Sender: Shield. Argument: shield.
shield_bought = Signal()
shield_expired = Signal()
