"""The admin of the points app: balances and ledgers are read only; staff set the points of each event type."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from heists.admin import HeistLinksMixin
from heists.admin.formats import column

from .models import (
    CoinEntry,
    MonthlyStanding,
    PlayerProfile,
    PointEvent,
    PointEventTypeMaster,
    ReferralReward,
    month_name,
)


class ColumnsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows numbers, times and months as the admin of heists does."""

    def get_list_display(self, request: HttpRequest) -> Any:
        return [self._column(str(name)) for name in super().get_list_display(request)]

    def _column(self, name: str) -> Any:
        """Return how to show a column: numbers grouped, times with their zone, a month by its name."""
        if name == "month":
            return "month_name"
        field: Any = self.opts.get_field(name)
        return column(field)

    @admin.display(description=_("month"), ordering="month")
    def month_name(self, row: Any) -> str:
        return month_name(row.month)


class ReadOnlyAdmin(ColumnsAdmin):
    """Nothing can be added, changed or deleted; deleting the user deletes the rows too."""

    show_full_result_count = False
    list_select_related = ["user"]
    list_per_page = 50
    search_fields = ["=user__username"]
    search_help_text = _("The exact username.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # A row's title names its player.
        return super().get_queryset(request).select_related(*self.list_select_related)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Without `form`: nothing is ever edited.
        return [self._column(field.name) for field in self.opts.fields if not field.primary_key]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # The delete page of the user asks for this permission too; without it no user could be deleted.
        match = request.resolver_match
        own_pages = f"{self.opts.app_label}_{self.opts.model_name}_"
        if match is None or (match.url_name or "").startswith(own_pages):
            return False
        return super().has_delete_permission(request, obj)


admin.site.unregister(get_user_model())


@admin.register(get_user_model())
class PlayerAdmin(HeistLinksMixin, UserAdmin):  # type: ignore[type-arg]
    """Django's own, with links to what belongs to the player in heists."""


@admin.register(PlayerProfile)
class PlayerProfileAdmin(ReadOnlyAdmin):
    list_display = ["user", "month", "monthly_points", "points", "coins", "referral_code", "referred_by"]
    list_select_related = ["user", "referred_by"]
    ordering = ["-month", "-monthly_points", "user_id"]
    search_fields = ["=user__username", "=referral_code"]
    search_help_text = _("The exact username or referral code.")


@admin.register(PointEventTypeMaster)
class PointEventTypeMasterAdmin(ColumnsAdmin):
    list_display = ["name", "points", "active", "description", "updated_at"]
    list_filter = ["active"]
    search_fields = ["name"]
    readonly_fields = ["created_at", "updated_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Events refer to a type by its name.
        return [*self.readonly_fields, "name"] if obj else self.readonly_fields


@admin.register(PointEvent)
class PointEventAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "user", "type", "points", "month", "reference"]
    ordering = ["-id"]
    search_fields = ["=user__username", "=reference"]
    search_help_text = _("The exact username or reference.")


@admin.register(MonthlyStanding)
class MonthlyStandingAdmin(ReadOnlyAdmin):
    list_display = ["month", "player", "points"]
    list_select_related = ["player"]
    ordering = ["-month", "-points", "player_id"]
    search_fields = ["=player__username"]


@admin.register(CoinEntry)
class CoinEntryAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "user", "reason", "amount", "reference"]
    ordering = ["-id"]


@admin.register(ReferralReward)
class ReferralRewardAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "referrer", "month", "reference"]
    list_select_related = ["referrer"]
    ordering = ["-id"]
    search_fields = ["=referrer__username", "=reference"]
    search_help_text = _("The exact username or reference.")
