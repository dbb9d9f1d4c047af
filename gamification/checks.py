"""Checks the `GAMIFICATION` dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from .conf import SETTINGS


def check_settings(**kwargs: Any) -> Iterator[CheckMessage]:
    """Check the keys and values of `GAMIFICATION`."""
    found = getattr(settings, "GAMIFICATION", {})
    if not isinstance(found, dict):
        hint = 'Write GAMIFICATION = {"REFERRAL_MEMBER_HOURS": 24}, or leave it out.'
        yield Error("GAMIFICATION is not a dictionary.", hint=hint, id="gamification.E001")
        return
    for key, setting in SETTINGS.items():
        if not setting.is_valid(value := found.get(key, setting.default)):
            hint = f"Write a whole number from 0 to {setting.maximum}; the default is {setting.default}."
            yield Error(f'GAMIFICATION["{key}"] is {value!r}.', hint=hint, id="gamification.E002")
    for key in sorted(found.keys() - SETTINGS.keys(), key=str):
        hint = f"The keys are: {', '.join(SETTINGS)}."
        yield Warning(f"GAMIFICATION has an unknown key: {key!r}.", hint=hint, id="gamification.W001")
