"""Checks of command options. `call_command` does not run a parser's types, so commands check in `handle`."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.utils.translation import gettext as _


def require_at_least(least: int, **options: float) -> None:
    """Raise CommandError where one of these options is below `least`."""
    for name, value in options.items():
        if not value >= least:
            option = "--" + name.replace("_", "-")
            raise CommandError(_("%(option)s must be at least %(least)s.") % {"option": option, "least": least})
