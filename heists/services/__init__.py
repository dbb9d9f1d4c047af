"""Everything that changes heists' state. Doors (views, admin, commands, tasks) knock here and nowhere else."""

from .inbox import mark_all_read, mark_read
from .letters import deliver_due_letters, deliver_letters, send_again
from .preferences import choose_letters, letter_preference
from .retention import prune
from .robbery import execute_heist
from .shields import buy_shield, expire_shields
from .tokens import add_tokens, grant_tokens

__all__ = [
    "add_tokens",
    "buy_shield",
    "choose_letters",
    "deliver_due_letters",
    "deliver_letters",
    "execute_heist",
    "expire_shields",
    "grant_tokens",
    "letter_preference",
    "mark_all_read",
    "mark_read",
    "prune",
    "send_again",
]
