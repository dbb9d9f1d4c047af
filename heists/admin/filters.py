"""Filters for long tables: fixed choices, each served by an index. An unknown value finds no rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from ..choices import HeistStatus
from . import search


class ChoiceFilter(SimpleListFilter):
    """Filters by one of a field's `choices`; another value never reaches the database."""

    field_name: str

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Any]]:
        field = model_admin.model._meta.get_field(self.field_name)
        return [(str(value), label) for value, label in field.flatchoices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        if value not in {choice for choice, _label in self.lookup_choices}:
            return queryset.none()
        return queryset.filter(**{self.field_name: value})


def choice_filter(name: str, label: Any) -> type[ChoiceFilter]:
    """Return a filter class for one field that has choices."""
    return type(
        f"{name.title()}Filter",
        (ChoiceFilter,),
        {"title": label, "parameter_name": name, "field_name": name},
    )


class TokenSpentFilter(SimpleListFilter):
    """Outcomes, which spent a token, or rejections. Where a status is chosen as well, the status decides it."""

    title = _("token spent")
    parameter_name = "token_spent"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Any]]:
        return [("1", _("Yes")), ("0", _("No"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value, status = self.value(), request.GET.get("status")
        if value is None:
            return queryset
        if value not in ("0", "1"):
            return queryset.none()
        spent = value == "1"
        if status is None:
            return queryset.filter(token_spent=spent)
        # The condition would make the database read all heists of the status.
        return queryset if (status in HeistStatus.outcomes()) == spent else queryset.none()


class PeriodFilter(SimpleListFilter):
    """Today, the last days, or one date of the site's time zone, as the dashboard links to it."""

    title = _("date")
    parameter_name = "period"
    field_name = "created_at"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Any]]:
        choices: list[tuple[str, Any]] = [
            ("today", _("Today")),
            ("7", _("Last 7 days")),
            ("30", _("Last 30 days")),
            ("90", _("Last 90 days")),
        ]
        if day := self._day():
            choices.append((day.isoformat(), date_format(day)))
        return choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        today = timezone.localdate(timezone=timezone.get_default_timezone())
        if value in ("7", "30", "90"):
            return self._between(queryset, today - dt.timedelta(days=int(value) - 1), today)
        day = today if value == "today" else self._day()
        return self._between(queryset, day, day) if day else queryset.none()

    def _day(self) -> dt.date | None:
        try:
            day = dt.date.fromisoformat(self.value() or "")
        except ValueError:
            return None
        # In the first and last years, converting the time zone overflows.
        return day if 1900 <= day.year <= 9000 else None

    def _between(self, queryset: QuerySet[Any], first: dt.date, last: dt.date) -> QuerySet[Any]:
        zone = timezone.get_default_timezone()
        return queryset.filter(
            **{
                f"{self.field_name}__gte": dt.datetime.combine(first, dt.time(), zone),
                f"{self.field_name}__lt": dt.datetime.combine(last + dt.timedelta(days=1), dt.time(), zone),
            }
        )


class PlayerFilter(SimpleListFilter):
    """The rows of one player, by primary key. Players' names link to it."""

    title = _("player")
    parameter_name = "player"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Any]]:
        self.model_admin = model_admin
        value = self.value()
        if value is None:
            return []
        self.player = search.player_by_id(value)
        return [(value, self.player.get_username() if self.player else _("unknown player"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        if self.player is None:
            return queryset.none()
        return queryset.filter(search.of_players(self.model_admin, [self.player.pk]))
