"""Checks the `HEISTS` dictionary and the settings it depends on (docs/specification.md, "Settings")."""

from __future__ import annotations

import difflib
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import FieldDoesNotExist
from django.utils.module_loading import import_string

from .. import conf

# Each whole number, with its range.
RANGES: dict[str, tuple[int, int]] = {
    key: (setting.minimum, setting.maximum)
    for key, setting in conf.SETTINGS.items()
    if setting.minimum is not None and setting.maximum is not None
}
SWITCHES = [key for key, setting in conf.SETTINGS.items() if isinstance(setting.default, bool)]
TEXTS = [key for key in conf.SETTINGS if key not in SWITCHES and key not in RANGES]


def well_formed(*keys: str) -> bool:
    """Return whether `HEISTS` is a dictionary in which these keys have the right types, so that a check may read them.

    `check_settings` alone reports a wrong type.
    """
    return isinstance(getattr(settings, "HEISTS", {}), dict) and all(
        conf.SETTINGS[key].has_type(conf.raw(key)) for key in keys
    )


def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Check the keys and values of `HEISTS`, and that USE_TZ is on."""
    if not well_formed():
        return [
            Error(
                "HEISTS is not a dictionary.",
                hint='Write HEISTS = {"ECONOMY": "yourapp.economy.YourEconomy"}.',
                id="heists.E001",
            )
        ]
    found = getattr(settings, "HEISTS", {})
    return [*_unknown_keys(found), *_values(found), *_event_type_model(), *_throttle_cache(), *_time(), *_emails()]


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
    for key in TEXTS:
        if not conf.SETTINGS[key].has_type(value := found.get(key, conf.DEFAULTS[key])):
            messages.append(Error(f'HEISTS["{key}"] is {value!r}.', hint="Write a text, in quotes.", id="heists.E018"))
    return messages


def _event_type_model() -> list[CheckMessage]:
    label = conf.point_event_type_model() if well_formed("POINT_EVENT_TYPE_MODEL") else None
    if label is None:
        return []
    try:
        model = apps.get_model(label)
    except (LookupError, ValueError, TypeError, AttributeError):
        return [
            Error(
                f'HEISTS["POINT_EVENT_TYPE_MODEL"] is {label!r}, which is not an installed model.',
                hint='Write "app_label.ModelName", or leave the key out if your site has no table of event types.',
                id="heists.E007",
            )
        ]
    try:
        model._meta.get_field("name")
    except FieldDoesNotExist:
        return [
            Error(
                f'HEISTS["POINT_EVENT_TYPE_MODEL"] is {label!r}, which has no field "name".',
                hint="Leave the key out; your economy writes its events itself.",
                id="heists.E007",
            )
        ]
    return []


def _throttle_cache() -> list[CheckMessage]:
    if not well_formed("THROTTLE_CACHE") or (alias := conf.throttle_cache()) in settings.CACHES:
        return []
    return [
        Error(
            f'HEISTS["THROTTLE_CACHE"] is {alias!r}, which is not in CACHES.',
            hint=f"Write one of: {', '.join(sorted(settings.CACHES))}.",
            id="heists.E008",
        )
    ]


def _time() -> list[CheckMessage]:
    if settings.USE_TZ:
        return []
    return [
        Error(
            "USE_TZ is off; cooldowns and protection would change with daylight saving time.",
            hint="Write USE_TZ = True.",
            id="heists.E009",
        )
    ]


def _emails() -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    if well_formed("EMAIL_DELIVERY") and (path := conf.email_delivery()):
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
                    hint="Write the dotted path of a function that takes a list of email keys, or leave the key out.",
                    id="heists.E016",
                )
            )
    site = conf.site_url() if well_formed("SITE_URL") else ""
    if site and not site.startswith(("https://", "http://")):
        messages.append(
            Error(
                f'HEISTS["SITE_URL"] is {site!r}.',
                hint=f'Write it with its scheme: "https://{site}".',
                id="heists.E017",
            )
        )
    return messages
