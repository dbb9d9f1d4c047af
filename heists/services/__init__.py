"""Everything that changes heists' state. Doors (views, admin, commands, tasks) knock here and nowhere else."""

from .inbox import mark_all_read, mark_read
from .robbery import execute_heist
from .tokens import add_tokens, grant_tokens

__all__ = ["add_tokens", "execute_heist", "grant_tokens", "mark_all_read", "mark_read"]
