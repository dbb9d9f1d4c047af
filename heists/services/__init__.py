"""The write API. Views, admin, commands and tasks change state only through these functions."""

from ..emails.outbox import deliver_due_emails, deliver_emails, send_again
from .heists import execute_heist
from .notifications import mark_all_read, mark_read
from .players import delete_player_rows
from .preferences import set_email_preference
from .retention import prune
from .reversals import reverse_heist
from .rule_changes import change_rules, switch_heists
from .shields import buy_shield, expire_shields
from .tokens import add_tokens, grant_tokens, take_back
from .truces import set_truce

__all__ = [
    "add_tokens",
    "buy_shield",
    "change_rules",
    "delete_player_rows",
    "deliver_due_emails",
    "deliver_emails",
    "execute_heist",
    "expire_shields",
    "grant_tokens",
    "mark_all_read",
    "mark_read",
    "prune",
    "reverse_heist",
    "send_again",
    "set_email_preference",
    "set_truce",
    "switch_heists",
    "take_back",
]
