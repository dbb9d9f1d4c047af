"""The settings of heists, read at call time. See docs/specification.md, "Settings".

All live in one dictionary, `HEISTS`, in the host's settings. `SETTINGS` is the whole list of keys. Every function
raises ImproperlyConfigured, naming the key, where a value has the wrong type; the system checks report it earlier.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise

from .rules import RULE_FIELDS, Rules


class Setting(NamedTuple):
    """One key of `HEISTS`: its default and meaning; for a whole number also its unit and its range."""

    default: Any
    meaning: str
    unit: str = ""
    minimum: int | None = None
    maximum: int | None = None

    @property
    def type_name(self) -> str:
        """The type that a value must have, as an error message names it."""
        if isinstance(self.default, bool):
            return "True or False"
        return "a whole number" if isinstance(self.default, int) else "text"

    def has_type(self, value: Any) -> bool:
        """Whether a value has the type of the default. None is allowed for text that may be empty."""
        if isinstance(self.default, bool):
            return isinstance(value, bool)
        if isinstance(self.default, int):
            return isinstance(value, int) and not isinstance(value, bool)
        return isinstance(value, str | Promise) or (value is None and not self.default)

    def accepts(self, value: Any) -> bool:
        """Whether a value has the right type and, where there is a range, lies in it."""
        if self.minimum is None or self.maximum is None:
            return self.has_type(value)
        return self.has_type(value) and self.minimum <= value <= self.maximum


# docs/settings.md is generated from this table.
SETTINGS: dict[str, Setting] = {
    "ECONOMY": Setting(None, "Dotted path of your economy class. Required."),
    "ENABLED": Setting(True, "Whether attempts, the shield shop and truce wishes are open. The rest stays readable."),
    "POINT_EVENT_TYPE_MODEL": Setting(None, 'Your table of point event types, as "app_label.Model".'),
    "TOKEN_COST": Setting(1, "What a heist costs.", "tokens", 0, 1_000_000),
    "TOKENS_PER_REFERRAL": Setting(1, "What a referrer earns for one referred player.", "tokens", 0, 1_000_000),
    "STEAL_PERCENTAGE": Setting(5, "Share of the victim's monthly points that a heist takes.", "per cent", 1, 100),
    "MAX_STEAL_POINTS": Setting(100, "The most that one heist takes.", "points", 1, 1_000_000_000),
    "MIN_TARGET_POINTS": Setting(20, "The fewest points that a victim can have.", "monthly points", 0, 1_000_000_000),
    "COOLDOWN_HOURS": Setting(24, "How long an attacker waits after a token was spent.", "hours", 0, 24 * 366),
    "TARGET_COOLDOWN_HOURS": Setting(48, "How long a success protects the victim.", "hours", 0, 24 * 366),
    "MAX_HEISTS_PER_DAY": Setting(10, "Outcomes of one attacker in a rolling day.", "heists", 1, 1_000_000),
    "PAIR_COOLDOWN_HOURS": Setting(
        0, "How long the same attacker waits for the same victim; 0 is off.", "hours", 0, 24 * 366
    ),
    "MONTHLY_LOSS_PERCENT": Setting(
        10,
        "The most a victim loses in a calendar month of `TIME_ZONE`, of the points without losses.",
        "per cent",
        0,
        100,
    ),
    "SHIELD_COST": Setting(50, "Price of a shield.", "coins", 0, 1_000_000_000),
    "SHIELD_DAYS": Setting(7, "How long an unused shield lasts.", "days", 1, 3660),
    "NEWCOMER_DAYS": Setting(
        0, "How long a new player who never robbed anybody can't be robbed; 0 is off.", "days", 0, 3660
    ),
    "TRUCE_ENABLED": Setting(True, "Whether players may choose truces, and truces count."),
    "RATE_LIMIT_PER_MINUTE": Setting(
        10, "Attempts, purchases and truce wishes of one player.", "requests a minute", 1, 1_000_000
    ),
    "READ_RATE_LIMIT_PER_MINUTE": Setting(60, "Other requests of one player.", "requests a minute", 1, 1_000_000),
    "THROTTLE_CACHE": Setting("default", "Alias of the cache that counts requests. All workers have to share it."),
    "TRUSTED_PROXIES": Setting(
        0, "How many of your proxies append to `X-Forwarded-For`; with 0, only `REMOTE_ADDR` counts.", "proxies", 0, 100
    ),
    "EMAIL_ENABLED": Setting(True, "Whether notifications are also sent by email."),
    "EMAIL_FROM": Setting("", "Sender of the emails; empty for `DEFAULT_FROM_EMAIL`."),
    "EMAIL_DELIVERY": Setting(
        None, "Dotted path of a function that is called after the commit with the keys of new outbox emails."
    ),
    "EMAIL_LEASE_SECONDS": Setting(300, "How long a worker holds one email.", "seconds", 1, 86_400),
    "EMAIL_RETRY_SECONDS": Setting(
        30, "Wait after the first failure of an email; doubled after each further one.", "seconds", 1, 86_400
    ),
    "EMAIL_MAX_ATTEMPTS": Setting(10, "Failures after which an email is given up.", "attempts", 1, 1000),
    "SITE_URL": Setting("", "Public address of the site, such as `https://example.com`, for links in emails."),
    "RETENTION_READ_DAYS": Setting(90, "How long a read notification is kept.", "days", 1, 36_600),
    "RETENTION_UNREAD_DAYS": Setting(180, "How long an unread notification is kept.", "days", 1, 36_600),
    "RETENTION_ADDRESS_DAYS": Setting(90, "How long a heist keeps the client's address.", "days", 1, 36_600),
}
DEFAULTS: dict[str, Any] = {key: setting.default for key, setting in SETTINGS.items()}


def raw(key: str) -> Any:
    """The value of a key as the host wrote it, whatever its type; the default where it is missing."""
    return getattr(settings, "HEISTS", {}).get(key, DEFAULTS[key])


def _get(key: str) -> Any:
    if not isinstance(found := getattr(settings, "HEISTS", {}), dict):
        raise ImproperlyConfigured(f"HEISTS must be a dictionary, not {found!r}.")
    value = found.get(key, DEFAULTS[key])
    if not SETTINGS[key].has_type(value):
        raise ImproperlyConfigured(f'HEISTS["{key}"] must be {SETTINGS[key].type_name}, not {value!r}.')
    return value


def _number(key: str) -> int:
    number: int = _get(key)
    return number


def _text(key: str) -> str:
    return str(_get(key) or "")


def _text_or_none(key: str) -> str | None:
    return _text(key) or None


def enabled() -> bool:
    """Whether the setting has heists switched on; `heists.in_force` asks the switch, too."""
    return _get("ENABLED") is True


def economy() -> str:
    """The dotted path of the host's economy class.

    Raises ImproperlyConfigured where none is named: there is no default economy.
    """
    path = _text("ECONOMY")
    if not path:
        raise ImproperlyConfigured('Name your economy class: HEISTS = {"ECONOMY": "yourapp.economy.YourEconomy"}')
    return path


def rules() -> Rules:
    """The rules of the settings; `heists.in_force` says which are in force."""
    values: dict[str, Any] = {name: _get(name.upper()) for name in RULE_FIELDS if name != "time_zone"}
    return Rules(**values, time_zone=settings.TIME_ZONE)


def rate_limit_per_minute() -> int:
    """How many attempts, purchases and truce wishes a player may send in a minute. Not a rule of the game."""
    return _number("RATE_LIMIT_PER_MINUTE")


def read_rate_limit_per_minute() -> int:
    """How many reads a player may send in a minute."""
    return _number("READ_RATE_LIMIT_PER_MINUTE")


def throttle_cache() -> str:
    """The alias of the Django cache that counts requests; its `incr` must be atomic and shared by all workers."""
    return _text("THROTTLE_CACHE")


def trusted_proxies() -> int:
    """How many of the host's proxies append to X-Forwarded-For; 0 means that only REMOTE_ADDR counts."""
    return _number("TRUSTED_PROXIES")


def email_enabled() -> bool:
    """Whether notifications also become emails in the outbox."""
    return _get("EMAIL_ENABLED") is True


def point_event_type_model() -> str | None:
    """The host's point event type model as "app_label.Model", or None where the host has no such table."""
    return _text_or_none("POINT_EVENT_TYPE_MODEL")


def email_from() -> str:
    """The sender of emails; DEFAULT_FROM_EMAIL where it is empty."""
    return _text("EMAIL_FROM") or settings.DEFAULT_FROM_EMAIL


def email_delivery() -> str | None:
    """The dotted path of a function that is called after the commit with the keys of new emails, or None."""
    return _text_or_none("EMAIL_DELIVERY")


def email_lease() -> dt.timedelta:
    """How long a worker holds one email before another worker may take it."""
    return dt.timedelta(seconds=_number("EMAIL_LEASE_SECONDS"))


def email_retry() -> dt.timedelta:
    """How long an email waits after its first failure; doubled after each further one."""
    return dt.timedelta(seconds=_number("EMAIL_RETRY_SECONDS"))


def email_max_attempts() -> int:
    """After how many failures an email is given up."""
    return _number("EMAIL_MAX_ATTEMPTS")


def site_url() -> str:
    """The public address of the site ("https://example.com"), for links in emails; empty for no links."""
    return _text("SITE_URL").rstrip("/")


def retention_read() -> dt.timedelta:
    """How long a read notification is kept."""
    return dt.timedelta(days=_number("RETENTION_READ_DAYS"))


def retention_unread() -> dt.timedelta:
    """How long an unread notification is kept."""
    return dt.timedelta(days=_number("RETENTION_UNREAD_DAYS"))


def retention_address() -> dt.timedelta:
    """How long a heist keeps the client's address; the heist itself stays."""
    return dt.timedelta(days=_number("RETENTION_ADDRESS_DAYS"))
