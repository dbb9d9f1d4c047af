"""Signals for hosts, sent after the commit. An exception of a receiver is logged and changes nothing."""

from django.dispatch import Signal

# After each attempt, outcome or rejection. Sender: Heist. Argument: heist.
heist_attempted = Signal()
# After each grant of tokens. Sender: TokenGrant. Argument: grant.
tokens_granted = Signal()
# After staff took a grant back. Sender: TokenGrant. Argument: correction.
grant_taken_back = Signal()
# After staff returned the points of a heist. Sender: Reversal. Argument: reversal.
heist_reversed = Signal()
# After a purchase. Sender: Shield. Argument: shield.
shield_bought = Signal()
# After each transaction that wrote notifications. Sender: HeistNotification. Argument: notifications, a list of all of
# them, saved, each with its `user` loaded.
notifications_created = Signal()
# After an unused shield expired. Sender: Shield. Argument: shield.
shield_expired = Signal()
