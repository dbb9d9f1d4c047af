"""Truces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..models import Truce
from .filters import DateRangeFilter, PeriodFilter
from .readonly import ReadOnlyAdmin

STATES = {
    "coming": _("Not yet begun"),
    "in-force": _("In force"),
    "over": _("Over"),
    "withdrawn": _("Withdrawn before it began"),
}


class TruceStateFilter(SimpleListFilter):
    """By state at this moment."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> Iterable[tuple[str, Any]]:
        return STATES.items()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now, withdrawn = timezone.now(), Q(ends_at__isnull=False, ends_at=F("starts_at"))
        match self.value():
            case None:
                return queryset
            case "withdrawn":
                return queryset.filter(withdrawn)
            case "coming":
                return queryset.filter(Q(ends_at=None) | Q(ends_at__gt=F("starts_at")), starts_at__gt=now)
            case "in-force":
                return queryset.filter(Q(ends_at=None) | Q(ends_at__gt=now), starts_at__lte=now)
            case "over":
                return queryset.filter(ends_at__lte=now, ends_at__gt=F("starts_at"))
        return queryset.none()


@admin.register(Truce)
class TruceAdmin(ReadOnlyAdmin):
    """The list of truces, with their state."""

    player_paths = ("player",)
    list_display = ("created_at", "player_link", "state", "starts_at", "ends_at")
    list_filter = (TruceStateFilter, PeriodFilter, DateRangeFilter)
    list_select_related = page_select_related = ("player",)
    fields = ("player", "state", "starts_at", "ends_at", "created_at")
    readonly_fields = ("state", "created_at")
    # By primary key, which is the order of the wishes.
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description=_("state"))
    def state(self, truce: Truce) -> Any:
        if truce.ends_at == truce.starts_at:
            return STATES["withdrawn"]
        now = timezone.now()
        if truce.starts_at > now:
            return STATES["coming"]
        return STATES["in-force" if truce.ends_at is None or truce.ends_at > now else "over"]
