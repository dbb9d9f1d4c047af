"""Notifications, as their players read them."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import HeistNotification
from .filters import DateRangeFilter, PeriodFilter, choice_filter
from .readonly import ReadOnlyAdmin


@admin.register(HeistNotification)
class HeistNotificationAdmin(ReadOnlyAdmin):
    """The list of notifications."""

    player_paths = ("user",)
    list_display = ("time", "player_link", "type", "message", "read", "email_sent")
    list_filter = (choice_filter("type", _("type")), PeriodFilter, DateRangeFilter)
    list_select_related = ("user",)
    page_select_related = ("user", "heist__attacker", "heist__victim")
    fields = ("user", "type", "message", "heist", "created_at", "read", "email_sent", "email_sent_at", "metadata")
    readonly_fields = ("created_at",)
