"""Checks the `HEISTS` dictionary and the settings it depends on (docs/specification.md, "Settings")."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import FieldDoesNotExist
from django.utils.module_loading import import_string

from .. import conf


def well_formed(*keys: str) -> bool:
    """Return whether `HEISTS` is a dictionary in which these keys have the right types, so that a check may read them.

    `check_settings` alone reports a wrong type.
    """
    return isinstance(getattr(settings, "HEISTS", {}), dict) and all(
        conf.SETTINGS[key].has_type(conf.raw(key)) for key in keys
    )


def check_settings(**kwargs: Any) -> Iterator[CheckMessage]:
    """Check the keys and values of `HEISTS`, and that USE_TZ is on."""
    if not well_formed():
        yield Error(
            "HEISTS is not a dictionary.",
            hint='Write HEISTS = {"ECONOMY": "yourapp.economy.YourEconomy"}.',
            id="heists.E001",
        )
        return
    found = getattr(settings, "HEISTS", {})
    yield from _unknown_keys(found)
    yield from _values(found)
    yield from _event_type_model()
    yield from _throttle_cache()
    if not settings.USE_TZ:
        yield Error(
            "USE_TZ is off; cooldowns and protection would change with daylight saving time.",
            hint="Write USE_TZ = True.",
            id="heists.E009",
        )
    yield from _emails()


def _unknown_keys(found: dict[str, Any]) -> Iterator[CheckMessage]:
    for key in sorted(found.keys() - conf.SETTINGS.keys(), key=repr):
        close = difflib.get_close_matches(str(key).upper().removeprefix("HEIST_"), conf.SETTINGS, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"The keys are: {', '.join(sorted(conf.SETTINGS))}."
        yield Warning(f"HEISTS has an unknown key: {key!r}.", hint=hint, id="heists.W001")


def _values(found: dict[str, Any]) -> Iterator[CheckMessage]:
    for key, setting in conf.SETTINGS.items():
        value, least, most = found.get(key, setting.default), setting.minimum, setting.maximum
        if setting.accepts(value):
            continue
        if key == "STEAL_PERCENTAGE" and isinstance(value, float) and 0 < value < 1:
            yield Error(
                f'HEISTS["STEAL_PERCENTAGE"] is {value!r}, a share instead of a percentage.',
                hint=f"Did you mean {round(value * 100) or 1}?",
                id="heists.E005",
            )
        elif isinstance(setting.default, bool):
            yield Error(f'HEISTS["{key}"] is {value!r}.', hint="Write True or False, without quotes.", id="heists.E006")
        elif isinstance(setting.default, int):
            yield Error(
                f'HEISTS["{key}"] is {value!r}.',
                hint=f"Write a whole number from {least} to {most}; the default is {setting.default}.",
                id="heists.E004",
            )
        else:
            yield Error(f'HEISTS["{key}"] is {value!r}.', hint="Write a text, in quotes.", id="heists.E018")


def _event_type_model() -> Iterator[CheckMessage]:
    label = conf.point_event_type_model() if well_formed("POINT_EVENT_TYPE_MODEL") else None
    if label is None:
        return
    try:
        apps.get_model(label)._meta.get_field("name")
    except FieldDoesNotExist:
        yield Error(
            f'HEISTS["POINT_EVENT_TYPE_MODEL"] is {label!r}, which has no field "name".',
            hint="Leave the key out; your economy writes its events itself.",
            id="heists.E007",
        )
    except (LookupError, ValueError, TypeError, AttributeError):
        yield Error(
            f'HEISTS["POINT_EVENT_TYPE_MODEL"] is {label!r}, which is not an installed model.',
            hint='Write "app_label.ModelName", or leave the key out if your site has no table of event types.',
            id="heists.E007",
        )


def _throttle_cache() -> Iterator[CheckMessage]:
    if well_formed("THROTTLE_CACHE") and (alias := conf.throttle_cache()) not in settings.CACHES:
        yield Error(
            f'HEISTS["THROTTLE_CACHE"] is {alias!r}, which is not in CACHES.',
            hint=f"Write one of: {', '.join(sorted(settings.CACHES))}.",
            id="heists.E008",
        )


def _emails() -> Iterator[CheckMessage]:
    if well_formed("EMAIL_DELIVERY") and (path := conf.email_delivery()):
        reason = "it can't be called"
        try:
            delivery = import_string(path)
        except (ImportError, AttributeError, ValueError) as error:
            delivery, reason = None, str(error)
        if not callable(delivery):
            yield Error(
                f'HEISTS["EMAIL_DELIVERY"] = {path!r} can\'t be used: {reason}',
                hint="Write the dotted path of a function that takes a list of email keys, or leave the key out.",
                id="heists.E016",
            )
    site = conf.site_url() if well_formed("SITE_URL") else ""
    if site and not site.startswith(("https://", "http://")):
        yield Error(
            f'HEISTS["SITE_URL"] is {site!r}.',
            hint=f'Write it with its scheme: "https://{site}".',
            id="heists.E017",
        )
