"""The settings of heists: one documented question each, read at call time (spec section 9).

All live in one dictionary, `HEISTS`, in the host's settings. `DEFAULTS` is the whole list of keys; `checks` says
what a wrong value should be.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from .rules import Rules

DEFAULTS: dict[str, Any] = {
    "ENABLED": True,
    "ECONOMY": None,
    "POINT_EVENT_TYPE_MODEL": None,
    "TOKEN_COST": 1,
    "TOKENS_PER_REFERRAL": 1,
    "STEAL_PERCENTAGE": 5,
    "MAX_STEAL_POINTS": 100,
    "MIN_TARGET_POINTS": 20,
    "COOLDOWN_HOURS": 24,
    "TARGET_COOLDOWN_HOURS": 48,
    "MAX_HEISTS_PER_DAY": 10,
    "PAIR_COOLDOWN_HOURS": 0,
    "MONTHLY_LOSS_PERCENT": 10,
    "SHIELD_COST": 50,
    "SHIELD_DAYS": 7,
    "RATE_LIMIT_PER_MINUTE": 10,
    "READ_RATE_LIMIT_PER_MINUTE": 60,
    "THROTTLE_CACHE": "default",
    "TRUSTED_PROXIES": 0,
    "EMAIL_ENABLED": True,
    "EMAIL_FROM": "",
    "EMAIL_DELIVERY": None,
    "EMAIL_LEASE_SECONDS": 300,
    "EMAIL_RETRY_SECONDS": 30,
    "EMAIL_MAX_ATTEMPTS": 10,
    "SITE_URL": "",
    "RETENTION_READ_DAYS": 90,
    "RETENTION_UNREAD_DAYS": 180,
    "RETENTION_ADDRESS_DAYS": 90,
}


def _get(key: str) -> Any:
    return getattr(settings, "HEISTS", {}).get(key, DEFAULTS[key])


def enabled() -> bool:
    """Whether attempts and the shield shop are open; everything else stays readable when they are not."""
    return bool(_get("ENABLED"))


def economy() -> str:
    """The dotted path of the host's economy class.

    Raises ImproperlyConfigured where none is named: there is no default economy.
    """
    path = _get("ECONOMY")
    if not path:
        raise ImproperlyConfigured('Name your economy class: HEISTS = {"ECONOMY": "yourapp.economy.YourEconomy"}')
    return cast(str, path)


def rules() -> Rules:
    """The numbers of spec section 4 that are in force now."""
    return Rules(
        token_cost=_get("TOKEN_COST"),
        tokens_per_referral=_get("TOKENS_PER_REFERRAL"),
        steal_percentage=_get("STEAL_PERCENTAGE"),
        max_steal_points=_get("MAX_STEAL_POINTS"),
        min_target_points=_get("MIN_TARGET_POINTS"),
        cooldown_hours=_get("COOLDOWN_HOURS"),
        target_cooldown_hours=_get("TARGET_COOLDOWN_HOURS"),
        max_heists_per_day=_get("MAX_HEISTS_PER_DAY"),
        pair_cooldown_hours=_get("PAIR_COOLDOWN_HOURS"),
        monthly_loss_percent=_get("MONTHLY_LOSS_PERCENT"),
        shield_cost=_get("SHIELD_COST"),
        shield_days=_get("SHIELD_DAYS"),
        time_zone=settings.TIME_ZONE,
    )


def tokens_per_referral() -> int:
    """How many tokens a referrer earns for each player who signs up with their code."""
    return cast(int, _get("TOKENS_PER_REFERRAL"))


def cooldown() -> dt.timedelta:
    """How long an attacker waits after a token was spent."""
    return rules().cooldown


def rate_limit_per_minute() -> int:
    """How many attempts (and purchases) a player may send in a minute: politeness, never a rule of the game."""
    return cast(int, _get("RATE_LIMIT_PER_MINUTE"))


def read_rate_limit_per_minute() -> int:
    """How many reads a player may send in a minute."""
    return cast(int, _get("READ_RATE_LIMIT_PER_MINUTE"))


def throttle_cache() -> str:
    """The alias of the Django cache that counts requests; its `incr` has to be atomic and shared by all workers."""
    return cast(str, _get("THROTTLE_CACHE"))


def trusted_proxies() -> int:
    """How many proxies of the host's own append to X-Forwarded-For; 0 means that only REMOTE_ADDR is believed."""
    return cast(int, _get("TRUSTED_PROXIES"))


def email_enabled() -> bool:
    """Whether notifications also become emails in the outbox."""
    return bool(_get("EMAIL_ENABLED"))


def point_event_type_model() -> str | None:
    """The host's point event type model as "app_label.Model", or None where the host has no such table."""
    return cast("str | None", _get("POINT_EVENT_TYPE_MODEL"))


def email_from() -> str:
    """Who emails come from; Django's DEFAULT_FROM_EMAIL where the host names nobody else."""
    return cast(str, _get("EMAIL_FROM") or settings.DEFAULT_FROM_EMAIL)


def email_delivery() -> str | None:
    """The dotted path of what is called after commit with the keys of new emails; None leaves them to the command."""
    return cast("str | None", _get("EMAIL_DELIVERY"))


def email_lease() -> dt.timedelta:
    """How long a worker may take over one email before another worker thinks it dead."""
    return dt.timedelta(seconds=_get("EMAIL_LEASE_SECONDS"))


def email_retry() -> dt.timedelta:
    """How long a email waits after its first failure; each further one doubles it."""
    return dt.timedelta(seconds=_get("EMAIL_RETRY_SECONDS"))


def email_max_attempts() -> int:
    """After how many failures a email is given up."""
    return cast(int, _get("EMAIL_MAX_ATTEMPTS"))


def site_url() -> str:
    """Where players reach the site ("https://example.com"), for links in emails; empty for emails without links."""
    return str(_get("SITE_URL") or "").rstrip("/")


def retention_read() -> dt.timedelta:
    """How long a notification that was read is kept."""
    return dt.timedelta(days=_get("RETENTION_READ_DAYS"))


def retention_unread() -> dt.timedelta:
    """How long a notification that nobody read is kept."""
    return dt.timedelta(days=_get("RETENTION_UNREAD_DAYS"))


def retention_address() -> dt.timedelta:
    """How long a heist keeps the client's address; the heist itself stays."""
    return dt.timedelta(days=_get("RETENTION_ADDRESS_DAYS"))
