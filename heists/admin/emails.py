"""Outbox emails and email preferences."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import router
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import escape, format_html
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..choices import EmailState, HeistNotificationType
from ..economy import get_economy
from ..emails.compose import compose
from ..models import EmailPreference, OutboxEmail
from ..services import send_again
from .filters import DateRangeFilter, PeriodFilter, choice_filter
from .formats import number
from .readonly import ReadOnlyAdmin

logger = logging.getLogger("heists")

# Emails that one action sends again; each takes statements of its own.
MAX_EMAILS = 200


class Rendered(NamedTuple):
    """An email as its player would get it now; empty texts where it can't be rendered."""

    to: str
    subject: str
    text: str


def render(email: OutboxEmail) -> Rendered:
    """Return the email in its player's language, without the unsubscribe link, which is the player's alone."""
    economy, notification = get_economy(), email.notification
    try:
        to = economy.email(notification.user)
        message = compose(email, to=to, economy=economy)
    except Exception:
        # A host's template or economy may raise anything; the page still has to show the error of the outbox.
        logger.exception("email %s can't be rendered", email.pk)
        return Rendered("", "", gettext("This email can't be rendered. The error is in the server's log."))
    text, link = str(message.body), message.extra_headers.get("List-Unsubscribe", "").strip("<>")
    return Rendered(to, str(message.subject), text.replace(link, "[…]") if link else text)


@admin.register(OutboxEmail)
class OutboxEmailAdmin(ReadOnlyAdmin):
    """The list of outbox emails, and the action that sends them again."""

    player_paths = ("notification__user",)
    list_display = ("time", "player_link", "notification_type", "state", "due_at", "attempts", "last_error")
    list_filter = (choice_filter("state", _("state")), PeriodFilter, DateRangeFilter)
    list_select_related = ("notification__user",)
    page_select_related = ("notification__user", "notification__heist")
    fieldsets = (
        (None, {"fields": ("recipient", "subject", "text")}),
        (_("Delivery"), {"fields": ("state", "due_at", "attempts", "leased_until", "last_error", "created_at")}),
        (_("Notification"), {"fields": ("notification",)}),
    )
    readonly_fields = ("recipient", "subject", "text", "created_at")
    actions = ("send_again",)

    @admin.display(description=_("type"))
    def notification_type(self, email: OutboxEmail) -> Any:
        return email.notification.get_type_display()

    @admin.display(description=_("recipient"))
    def recipient(self, email: OutboxEmail) -> Any:
        return self._message(email).to or "-"

    @admin.display(description=_("subject"))
    def subject(self, email: OutboxEmail) -> Any:
        return self._message(email).subject

    @admin.display(description=_("text, if it were sent now"))
    def text(self, email: OutboxEmail) -> Any:
        # Escaped in any case: a rendered template is marked as safe, and a text template escapes nothing.
        return format_html('<pre class="heists-email">{}</pre>', escape(self._message(email).text))

    def _message(self, email: OutboxEmail) -> Rendered:
        # Three fields of one page show it.
        found: Rendered | None = getattr(email, "rendered", None)
        if found is None:
            found = email.rendered = render(email)  # type: ignore[attr-defined]
        return found

    def has_send_again_permission(self, request: HttpRequest) -> bool:
        """Return whether this member of staff may send emails again."""
        user: Any = request.user
        return self.has_view_permission(request) and bool(user.has_perm("heists.send_again"))

    @admin.action(description=_("Send again"), permissions=["send_again"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[OutboxEmail]) -> HttpResponse | None:
        """Ask on a page of its own, with the count; then put the selected emails, also sent ones, into the outbox."""
        queryset = queryset.using(router.db_for_write(OutboxEmail))
        emails = list(queryset.order_by("pk")[: MAX_EMAILS + 1])
        if len(emails) > MAX_EMAILS:
            text = gettext("Select at most %(most)s emails.") % {"most": MAX_EMAILS}
            self.message_user(request, text, messages.ERROR)
            return None
        if "confirmed" not in request.POST:
            return self._ask(request, emails)
        self._send_again(request, emails)
        return None

    def _ask(self, request: HttpRequest, emails: list[OutboxEmail]) -> HttpResponse:
        count = len(emails)
        text = ngettext("%(count)s email is sent again.", "%(count)s emails are sent again.", count)
        sent = sum(email.state == EmailState.SENT for email in emails)
        again = ngettext(
            "%(count)s of them was sent before: its player gets it twice.",
            "%(count)s of them were sent before: their players get them twice.",
            sent,
        )
        yes = ngettext("Yes, send %(count)s email again", "Yes, send %(count)s emails again", count)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Send again"),
            "opts": self.opts,
            "media": self.media,
            "crumbs": [(request.get_full_path(), capfirst(self.opts.verbose_name_plural))],
            "sentences": [text % {"count": number(count)}, *([again % {"count": number(sent)}] if sent else [])],
            "hidden": [
                ("action", "send_again"),
                ("confirmed", "yes"),
                *((ACTION_CHECKBOX_NAME, email.pk) for email in emails),
            ],
            "submit": yes % {"count": number(count)},
            "cancel_url": request.get_full_path(),
        }
        return TemplateResponse(request, "admin/heists/confirm.html", context)

    def _send_again(self, request: HttpRequest, emails: list[OutboxEmail]) -> None:
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
    list_display = ("updated_at", "player_link", "muted", "types")
    list_select_related = page_select_related = ("player",)
    fields = ("player", "muted", "types", "updated_at")
    readonly_fields = ("types", "updated_at")
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description=_("no emails of these types"))
    def types(self, preference: EmailPreference) -> str:
        labels = dict(HeistNotificationType.choices)
        return ", ".join(str(labels.get(type, type)) for type in preference.muted_types) or "-"
