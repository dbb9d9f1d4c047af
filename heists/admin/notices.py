"""What players are told: notifications, the letters on their way, and who wants none."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..models import HeistNotification, Letter, LetterPreference
from ..services import send_again
from . import links
from .filters import PeriodFilter, choice_filter
from .readonly import ReadOnlyAdmin

# The letters one action puts back, each in a statement of its own.
MOST_LETTERS = 200


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
    actions = ("send_again",)

    @admin.display(description=_("player"))
    def player(self, letter: Letter) -> Any:
        return links.player_link(self.admin_site, letter.notification.user)

    @admin.display(description=_("type"))
    def kind(self, letter: Letter) -> Any:
        return letter.notification.get_type_display()

    @admin.display(description=_("state"))
    def standing(self, letter: Letter) -> Any:
        return letter.get_state_display()

    def has_send_again_permission(self, request: HttpRequest) -> bool:
        """Whether this member of staff may put letters back into the outbox."""
        user: Any = request.user
        return self.has_view_permission(request) and bool(user.has_perm("heists.send_again"))

    @admin.action(description=_("Send again"), permissions=["send_again"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Letter]) -> None:
        """Put the chosen letters back into the outbox, also those that were sent, and log it."""
        letters = list(queryset.order_by("pk")[: MOST_LETTERS + 1])
        if len(letters) > MOST_LETTERS:
            text = gettext("Select at most %(most)s letters.") % {"most": MOST_LETTERS}
            self.message_user(request, text, messages.ERROR)
            return
        put_back = [letter for letter in letters if send_again(letter)]
        for letter in put_back:
            self.log_change(request, letter, "Put back into the outbox.")
        if put_back:
            text = ngettext(
                "%(count)s letter will be sent again.", "%(count)s letters will be sent again.", len(put_back)
            )
            self.message_user(request, text % {"count": len(put_back)}, messages.SUCCESS)
        if left := len(letters) - len(put_back):
            text = ngettext(
                "%(count)s letter was left alone: it is on its way just now.",
                "%(count)s letters were left alone: they are on their way just now.",
                left,
            )
            self.message_user(request, text % {"count": left}, messages.WARNING)


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
