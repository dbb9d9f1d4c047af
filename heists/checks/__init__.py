"""System checks. Each message has a stable id and a hint that says what to type.

docs/settings.md lists every id.
"""

from __future__ import annotations

from django.core import checks

from .database import check_databases, check_event_types, check_rules
from .deployment import check_cache, check_installed, check_links, check_mail, check_proxies, check_templates
from .economy import check_economy
from .settings import check_settings

__all__ = [
    "check_cache",
    "check_databases",
    "check_economy",
    "check_event_types",
    "check_installed",
    "check_links",
    "check_mail",
    "check_proxies",
    "check_rules",
    "check_settings",
    "check_templates",
    "register",
]


def register() -> None:
    """Register every check. Those that concern production only run with `check --deploy`."""
    for check in (
        check_settings,
        check_economy,
        check_databases,
        check_installed,
        check_proxies,
        check_templates,
        check_links,
    ):
        checks.register(check, "heists")
    for check in (check_cache, check_mail):
        checks.register(check, "heists", deploy=True)
    # These query the database, so they run only with `migrate` and `check --database`.
    for check in (check_event_types, check_rules):
        checks.register(check, "heists", checks.Tags.database)
