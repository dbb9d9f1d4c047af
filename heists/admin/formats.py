"""Formats times, numbers and members of staff for all pages of the admin."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import DateTimeField, Field, IntegerField
from django.utils import timezone
from django.utils.formats import date_format, number_format

from .. import user_model


def number(value: int | None) -> str:
    """Return a number with its thousands grouped; "-" for none."""
    return "-" if value is None else number_format(value, force_grouping=True)


def signed(points: int) -> str:
    """Return a number with its sign."""
    return f"+{number(points)}" if points > 0 else number(points)


def when(value: dt.datetime | None) -> str:
    """Return a time in the reader's time zone, with the zone's abbreviation; "-" for none."""
    if value is None:
        return "-"
    local = timezone.localtime(value)
    parts = (date_format(local, "DATE_FORMAT"), f"{date_format(local, 'TIME_FORMAT')} {local.tzname()}")
    # No-break spaces: a narrow column shows date and time on two lines.
    return " ".join(part.replace(" ", "\u00a0") for part in parts)


def staff_name(user: Any, kept_name: str) -> str:
    """Return the name of who did something; that which the row kept where the account was deleted; "-" for nobody."""
    if user is None:
        return kept_name or "-"
    return user_model.username(user) or str(user)


def column(field: Field[Any, Any]) -> str | Callable[[Any], str]:
    """Return an entry for `fields` or `list_display`: a function for times and numbers, else the field's name."""
    name: str = field.name
    show: Callable[[Any], str]
    if isinstance(field, DateTimeField):
        show = when
    elif isinstance(field, IntegerField) and not field.primary_key:
        show = number
    else:
        return name

    @admin.display(description=field.verbose_name, ordering=name)
    def shown(row: Any) -> str:
        return show(getattr(row, name))

    # Django takes the CSS class of the cell from it.
    shown.__name__ = name
    return shown
