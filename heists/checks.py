"""System checks: is the deployment sane? Each has a stable id and a hint that says what to type."""

from __future__ import annotations

import difflib
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.utils.module_loading import import_string

from . import conf
from .economy import Economy

# The whole numbers, with the least and the most that make sense.
RANGES: dict[str, tuple[int, int]] = {
    "TOKEN_COST": (0, 1_000_000),
    "TOKENS_PER_REFERRAL": (0, 1_000_000),
    "STEAL_PERCENTAGE": (1, 100),
    "MAX_STEAL_POINTS": (1, 1_000_000_000),
    "MIN_TARGET_POINTS": (0, 1_000_000_000),
    "COOLDOWN_HOURS": (0, 24 * 366),
    "TARGET_COOLDOWN_HOURS": (0, 24 * 366),
    "MAX_HEISTS_PER_DAY": (1, 1_000_000),
    "PAIR_COOLDOWN_HOURS": (0, 24 * 366),
    "MONTHLY_LOSS_PERCENT": (0, 100),
    "SHIELD_COST": (0, 1_000_000_000),
    "SHIELD_DAYS": (1, 3660),
    "RATE_LIMIT_PER_MINUTE": (1, 1_000_000),
    "READ_RATE_LIMIT_PER_MINUTE": (1, 1_000_000),
    "TRUSTED_PROXIES": (0, 100),
    "EMAIL_LEASE_SECONDS": (1, 86_400),
    "EMAIL_RETRY_SECONDS": (1, 86_400),
    "EMAIL_MAX_ATTEMPTS": (1, 1000),
    "RETENTION_READ_DAYS": (1, 36_600),
    "RETENTION_UNREAD_DAYS": (1, 36_600),
    "RETENTION_ADDRESS_DAYS": (1, 36_600),
}
EXAMPLE = 'HEISTS = {"ECONOMY": "yourapp.economy.YourEconomy"}'
SWITCHES = ("ENABLED", "EMAIL_ENABLED")
# What a host's economy has to write itself.
ECONOMY_METHODS = ("players", "lock", "transfer")
COIN_METHODS = ("coins", "spend_coins")


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Check the `HEISTS` dictionary: its keys, their values, the economy and the event type model."""
    found = getattr(settings, "HEISTS", None)
    if found is None:
        found = {}
    if not isinstance(found, dict):
        return [
            Error(
                "HEISTS is not a dictionary.",
                hint='Write HEISTS = {"ECONOMY": "yourapp.economy.YourEconomy"}.',
                id="heists.E001",
            )
        ]
    return [*_unknown_keys(found), *_values(found), *_economy(), *_event_types(), *_letters()]


def _unknown_keys(found: dict[str, Any]) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    for key in found.keys() - conf.DEFAULTS.keys():
        close = difflib.get_close_matches(str(key).upper().removeprefix("HEIST_"), conf.DEFAULTS, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"The keys are: {', '.join(sorted(conf.DEFAULTS))}."
        messages.append(Warning(f"HEISTS has an unknown key: {key!r}.", hint=hint, id="heists.W001"))
    return sorted(messages, key=lambda message: message.msg)


def _values(found: dict[str, Any]) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    for key, (least, most) in RANGES.items():
        value = found.get(key, conf.DEFAULTS[key])
        if key == "STEAL_PERCENTAGE" and isinstance(value, float) and 0 < value < 1:
            messages.append(
                Error(
                    f'HEISTS["STEAL_PERCENTAGE"] is {value!r}, a share instead of a percentage.',
                    hint=f"Did you mean {round(value * 100) or 1}?",
                    id="heists.E005",
                )
            )
        elif isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            messages.append(
                Error(
                    f'HEISTS["{key}"] is {value!r}.',
                    hint=f"Write a whole number from {least} to {most}; the default is {conf.DEFAULTS[key]}.",
                    id="heists.E004",
                )
            )
    for key in SWITCHES:
        if not isinstance(value := found.get(key, conf.DEFAULTS[key]), bool):
            messages.append(
                Error(f'HEISTS["{key}"] is {value!r}.', hint="Write True or False, without quotes.", id="heists.E006")
            )
    return messages


def _economy() -> list[CheckMessage]:
    path = conf._get("ECONOMY")
    if not path:
        return [
            Error(
                "HEISTS names no economy.",
                hint=f"Write a subclass of heists.economy.Economy and name it: {EXAMPLE}.",
                id="heists.E002",
            )
        ]
    try:
        economy = import_string(path)
    except (ImportError, AttributeError, ValueError) as error:
        return [
            Error(
                f'HEISTS["ECONOMY"] = {path!r} can\'t be imported: {error}',
                hint='Write the dotted path of your economy class: "yourapp.economy.YourEconomy".',
                id="heists.E003",
            )
        ]
    if not (isinstance(economy, type) and issubclass(economy, Economy)):
        return [
            Error(
                f'HEISTS["ECONOMY"] = {path!r} is not an economy.',
                hint="Let the class inherit from heists.economy.Economy.",
                id="heists.E003",
            )
        ]
    needed = (*ECONOMY_METHODS, *(COIN_METHODS if economy.has_coins else ()))
    missing = [name for name in needed if getattr(economy, name) is getattr(Economy, name)]
    if missing:
        return [
            Error(
                f"{path} does not write {', '.join(missing)}().",
                hint="The docstrings of heists.economy.Economy say what each has to lock and promise.",
                id="heists.E003",
            )
        ]
    return []


def _event_types() -> list[CheckMessage]:
    label = conf.point_event_type_model()
    if label is None:
        return []
    try:
        apps.get_model(label)
    except (LookupError, ValueError, TypeError, AttributeError):
        return [
            Error(
                f'HEISTS["POINT_EVENT_TYPE_MODEL"] is {label!r}, which is no installed model.',
                hint='Write "app_label.ModelName", or leave the key out where your site has no table of event types.',
                id="heists.E007",
            )
        ]
    return []


def _letters() -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    if path := conf.email_delivery():
        try:
            delivery = import_string(path)
        except (ImportError, AttributeError, ValueError) as error:
            delivery, reason = None, str(error)
        else:
            reason = "it can't be called"
        if not callable(delivery):
            messages.append(
                Error(
                    f'HEISTS["EMAIL_DELIVERY"] = {path!r} can\'t be used: {reason}',
                    hint="Write the dotted path of a function that takes a list of letter keys, or leave the key out.",
                    id="heists.E010",
                )
            )
    site = conf.site_url()
    if site and not site.startswith(("https://", "http://")):
        messages.append(
            Error(
                f'HEISTS["SITE_URL"] is {site!r}.',
                hint=f'Write it with its scheme: "https://{site}".',
                id="heists.E011",
            )
        )
    if conf.email_enabled() and not site:
        messages.append(
            Warning(
                "Letters have no links: HEISTS names no SITE_URL, so players can't unsubscribe by a click.",
                hint='Write "SITE_URL": "https://example.com", or "EMAIL_ENABLED": False for a site without letters.',
                id="heists.W010",
            )
        )
    return messages
