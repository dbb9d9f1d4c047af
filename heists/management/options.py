"""Checks of command options. `call_command` does not run a parser's types, so commands check in `handle`."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db import connections, router

from ..models import Heist


def database_of(name: str | None) -> str:
    """Return the alias of `--database`; without one, of the database where heists are written.

    Raises CommandError where there is no such database.
    """
    alias = name or router.db_for_write(Heist)
    if alias not in connections:
        raise CommandError(f"There is no database {alias!r} in DATABASES; there are: {', '.join(connections)}.")
    return alias


def require_at_least(least: int, **options: float) -> None:
    """Raise CommandError where one of these options is below `least`."""
    for name, value in options.items():
        if not value >= least:
            option = "--" + name.replace("_", "-")
            raise CommandError(f"{option} must be at least {least}.")
