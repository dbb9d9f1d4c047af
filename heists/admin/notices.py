"""What players are told: notifications, the letters on their way, and who wants none."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import HeistNotification, Letter, LetterPreference
from . import links
from .filters import PeriodFilter, choice_filter
from .readonly import ReadOnlyAdmin


@admin.register(HeistNotification)
class HeistNotificationAdmin(ReadOnlyAdmin):
    """Notifications as their players read them."""

    player_paths = ("user",)
    list_display = ("time", "player", "kind", "message", "read", "email_sent")
    list_filter = (choice_filter("type", _("type")), PeriodFilter)
    list_select_related = ("user",)

    @admin.display(description=_("player"))
    def player(self, notification: HeistNotification) -> Any:
        return links.player_link(self.admin_site, notification.user)

    @admin.display(description=_("type"))
    def kind(self, notification: HeistNotification) -> Any:
        return notification.get_type_display()


@admin.register(Letter)
class LetterAdmin(ReadOnlyAdmin):
    """The outbox."""

    player_paths = ("notification__user",)
    list_display = (
        "time",
        "player",
        "kind",
        "standing",
        "due_at",
        "attempts",
        "last_error",
    )
    list_filter = (choice_filter("state", _("state")), PeriodFilter)
    list_select_related = ("notification__user",)

    @admin.display(description=_("player"))
    def player(self, letter: Letter) -> Any:
        return links.player_link(self.admin_site, letter.notification.user)

    @admin.display(description=_("type"))
    def kind(self, letter: Letter) -> Any:
        return letter.notification.get_type_display()

    @admin.display(description=_("state"))
    def standing(self, letter: Letter) -> Any:
        return letter.get_state_display()


@admin.register(LetterPreference)
class LetterPreferenceAdmin(ReadOnlyAdmin):
    """Who wants which letters."""

    player_paths = ("user",)
    list_display = ("player", "muted", "muted_types", "updated_at")
    list_select_related = ("user",)
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description=_("player"))
    def player(self, preference: LetterPreference) -> Any:
        return links.player_link(self.admin_site, preference.user)
