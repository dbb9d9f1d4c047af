"""Outbox emails and email preferences."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..models import EmailPreference, OutboxEmail
from ..services import send_again
from . import links
from .filters import PeriodFilter, choice_filter
from .readonly import ReadOnlyAdmin

# Emails that one action sends again; each takes statements of its own.
MAX_EMAILS = 200


@admin.register(OutboxEmail)
class OutboxEmailAdmin(ReadOnlyAdmin):
    """The list of outbox emails, and the action that sends them again."""

    player_paths = ("notification__user",)
    list_display = (
        "time",
        "player",
        "kind",
        "state_name",
        "due_at",
        "attempts",
        "last_error",
    )
    list_filter = (choice_filter("state", _("state")), PeriodFilter)
    list_select_related = ("notification__user",)
    actions = ("send_again",)

    @admin.display(description=_("player"))
    def player(self, email: OutboxEmail) -> Any:
        return links.player_link(self.admin_site, email.notification.user)

    @admin.display(description=_("type"))
    def kind(self, email: OutboxEmail) -> Any:
        return email.notification.get_type_display()

    @admin.display(description=_("state"))
    def state_name(self, email: OutboxEmail) -> Any:
        return email.get_state_display()

    def has_send_again_permission(self, request: HttpRequest) -> bool:
        """Return whether this member of staff may send emails again."""
        user: Any = request.user
        return self.has_view_permission(request) and bool(user.has_perm("heists.send_again"))

    @admin.action(description=_("Send again"), permissions=["send_again"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[OutboxEmail]) -> None:
        """Put the selected emails back into the outbox, also those that were sent, and log each."""
        queryset = queryset.using(router.db_for_write(OutboxEmail))
        emails = list(queryset.order_by("pk")[: MAX_EMAILS + 1])
        if len(emails) > MAX_EMAILS:
            text = gettext("Select at most %(most)s emails.") % {"most": MAX_EMAILS}
            self.message_user(request, text, messages.ERROR)
            return
        queued = [email for email in emails if send_again(email)]
        for email in queued:
            self.log_change(request, email, "Put back into the outbox.")
        if queued:
            text = ngettext("%(count)s email will be sent again.", "%(count)s emails will be sent again.", len(queued))
            self.message_user(request, text % {"count": len(queued)}, messages.SUCCESS)
        if left := len(emails) - len(queued):
            text = ngettext(
                "%(count)s email was not changed: it is being sent now.",
                "%(count)s emails were not changed: they are being sent now.",
                left,
            )
            self.message_user(request, text % {"count": left}, messages.WARNING)


@admin.register(EmailPreference)
class EmailPreferenceAdmin(ReadOnlyAdmin):
    """The list of email preferences."""

    player_paths = ("player",)
    list_display = ("name", "muted", "muted_types", "updated_at")
    list_select_related = ("player",)
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description=_("player"))
    def name(self, preference: EmailPreference) -> Any:
        return links.player_link(self.admin_site, preference.player)
