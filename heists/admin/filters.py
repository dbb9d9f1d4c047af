"""Filters for long tables: fixed choices, each served by an index. An unknown value finds no rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from ..choices import HeistRole, HeistStatus
from ..rules import DAY
from . import search
from .names import player_name

# Before and after these years, converting the time zone overflows.
FIRST_DATE, LAST_DATE = dt.date(1900, 1, 1), dt.date(9000, 12, 31)


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
        if day := _date(self.value()):
            choices.append((day.isoformat(), date_format(day)))
        return choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        today = timezone.localdate(timezone=timezone.get_default_timezone())
        if value in ("7", "30", "90"):
            return _between(queryset, self.field_name, today - dt.timedelta(days=int(value) - 1), today)
        day = today if value == "today" else _date(value)
        return _between(queryset, self.field_name, day, day) if day else queryset.none()


class DateRangeFilter(admin.ListFilter):
    """From one date to another, both included, of the site's time zone. Either may be missing."""

    title = _("date range")
    template = "admin/heists/date_range_filter.html"
    parameter_names = ("from", "to")
    field_name = "created_at"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        # Django gives a list of values for each parameter.
        self.values = {name: params.pop(name)[-1] for name in self.parameter_names if name in params}

    def expected_parameters(self) -> list[str | None]:
        return [*self.parameter_names]

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield the one form of this filter: its values, and the other parameters that it keeps."""
        kept = {key: value for key, value in changelist.params.items() if key not in self.parameter_names}
        yield {
            "first": self.values.get("from", ""),
            "last": self.values.get("to", ""),
            "kept": kept,
            "cancel": changelist.get_query_string(remove=[*self.parameter_names]) if self.values else "",
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = self.values.get("from", ""), self.values.get("to", "")
        if not first and not last:
            return queryset
        days = [_date(text) if text else default for text, default in ((first, FIRST_DATE), (last, LAST_DATE))]
        if days[0] is None or days[1] is None:
            return queryset.none()
        return _between(queryset, self.field_name, days[0], days[1])


class PlayerFilter(SimpleListFilter):
    """The rows of one player, by primary key. Players' names link to it."""

    title = _("player")
    parameter_name = "player"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Any]]:
        self.model_admin: Any = model_admin
        value = self.value()
        if value is None:
            return []
        self.player = search.player_by_id(value)
        return [(value, player_name(self.player) if self.player else _("unknown player"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        if self.player is None:
            return queryset.none()
        return queryset.filter(search.of_players(self.model_admin.paths_of_players(request), [self.player.pk]))


class RoleFilter(SimpleListFilter):
    """Which role the players of a search or of the player filter have. `ReadOnlyAdmin.paths_of_players` applies it."""

    title = _("role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Any]]:
        if not (request.GET.get("q", "").strip() or PlayerFilter.parameter_name in request.GET):
            return []
        return [(str(role.value), role.label) for role in HeistRole]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.value() in (None, *HeistRole.values) else queryset.none()


def _date(text: str | None) -> dt.date | None:
    try:
        day = dt.date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if FIRST_DATE <= day <= LAST_DATE else None


def _between(queryset: QuerySet[Any], field: str, first: dt.date, last: dt.date) -> QuerySet[Any]:
    zone = timezone.get_default_timezone()
    return queryset.filter(
        **{
            f"{field}__gte": dt.datetime.combine(first, dt.time(), zone),
            f"{field}__lt": dt.datetime.combine(last + DAY, dt.time(), zone),
        }
    )
