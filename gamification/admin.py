"""The admin of the points app: balances and ledgers are read only; staff set the points of each event type."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest

from heists.admin import HeistLinksMixin

from .models import CoinEntry, MonthlyStanding, PlayerProfile, PointEvent, PointEventTypeMaster, ReferralReward


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Nothing can be added, changed or deleted; deleting the user deletes the rows too."""

    show_full_result_count = False
    list_select_related = ["user"]
    list_per_page = 50
    search_fields = ["=user__username"]
    search_help_text = "The exact username."

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
    search_help_text = "The exact username or referral code."


@admin.register(PointEventTypeMaster)
class PointEventTypeMasterAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
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
    search_help_text = "The exact username or reference."


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
    search_help_text = "The exact username or reference."
