"""Heists: the list, and the page with all that belongs to one heist."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..economy import get_economy
from ..models import Heist, HeistNotification, HeistToken
from ..queries import evidence
from . import dashboard, export, links
from .filters import PeriodFilter, TokenSpentFilter, choice_filter
from .readonly import ReadOnlyAdmin


@admin.register(Heist)
class HeistAdmin(ReadOnlyAdmin):
    """The list of heists, each one's page, the dashboard and the export."""

    change_list_template = "admin/heists/heist/change_list.html"
    change_form_template = "admin/heists/heist/change_form.html"
    player_paths = ("attacker", "victim")
    address_path = "ip_address"
    search_help_text = _("A player's name (or its beginning), email address or id; or an IP address.")
    list_display = ("time", "attacker_name", "victim_name", "points", "outcome", "code", "address")
    list_filter = (choice_filter("status", _("status")), PeriodFilter, TokenSpentFilter)
    list_select_related = ("attacker", "victim")
    fieldsets = (
        (
            _("What happened"),
            {"fields": ("created_at", "outcome", "failure_code", "failure_reason", "points_stolen", "token_spent")},
        ),
        (_("Request"), {"fields": ("address", "idempotency_key", "retry_at")}),
    )
    readonly_fields = ("created_at", "outcome", "address")

    @admin.display(description=_("attacker"))
    def attacker_name(self, heist: Heist) -> Any:
        return links.player_link(self.admin_site, heist.attacker)

    @admin.display(description=_("victim"))
    def victim_name(self, heist: Heist) -> Any:
        return links.player_link(self.admin_site, heist.victim)

    @admin.display(description=_("points"))
    def points(self, heist: Heist) -> int:
        return heist.points_stolen

    @admin.display(description=_("status"))
    def outcome(self, heist: Heist) -> Any:
        kind = "success" if heist.points_stolen else "outcome" if heist.is_outcome else "rejection"
        return format_html('<span class="heists-{}">{}</span>', kind, heist.get_status_display())

    @admin.display(description=_("failure code"))
    def code(self, heist: Heist) -> Any:
        return heist.failure_code

    @admin.display(description=_("address"))
    def address(self, heist: Heist) -> Any:
        if not heist.ip_address:
            return None
        url = links.list_url(self.admin_site, Heist, q=heist.ip_address)
        return format_html('<a href="{}">{}</a>', url, heist.ip_address)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Heist]:
        return super().get_queryset(request).select_related("attacker", "victim")

    def get_urls(self) -> list[Any]:
        site = self.admin_site
        return [
            path("dashboard/", site.admin_view(self.dashboard_view), name="heists_dashboard"),
            path("export/", site.admin_view(self.export_view), name="heists_heist_export"),
            *super().get_urls(),
        ]

    def dashboard_view(self, request: HttpRequest) -> HttpResponse:
        """Show the dashboard."""
        return dashboard.view(self, request)

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Stream the filtered list as CSV."""
        return export.view(self, request)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Heist | None = None,
    ) -> HttpResponse:
        if obj is not None:
            context |= self._evidence(request, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _evidence(self, request: HttpRequest, heist: Heist) -> dict[str, Any]:
        """Return the template context about this heist; takes a fixed number of statements."""
        site = self.admin_site
        tokens = {
            token.user_id: token for token in HeistToken.objects.filter(user__in=(heist.attacker_id, heist.victim_id))
        }
        events = get_economy().point_events([heist.pk])
        names: dict[Any, str] = {
            heist.attacker_id: heist.attacker.get_username(),
            heist.victim_id: heist.victim.get_username(),
        }
        found = evidence.around(heist)
        rules = heist.rule_set.rules
        last_outcome, last_loss = found.attackers_last_outcome, found.victims_last_loss
        return {
            "players": [
                self._player(
                    request,
                    _("Attacker"),
                    heist.attacker,
                    tokens,
                    heist.attacker_points_before,
                    heist.attacker_points_after,
                ),
                self._player(
                    request, _("Victim"), heist.victim, tokens, heist.victim_points_before, heist.victim_points_after
                ),
            ],
            "rules": rules,
            "rules_link": links.row_link(site, request, heist.rule_set),
            "full_share": evidence.full_share(heist) if heist.points_stolen else None,
            "last_outcome": last_outcome,
            "cooldown_ended": last_outcome and last_outcome.created_at + rules.cooldown,
            "last_loss": last_loss,
            "protection_ended": last_loss and last_loss.created_at + rules.protection,
            "notifications": [
                {"row": row, "link": links.row_link(site, request, row, row.get_type_display())}
                for row in heist.notifications.select_related("user").order_by("pk")
            ],
            "may_view_notifications": links.may_view(site, request, HeistNotification),
            "events": events
            if events is None
            else [{"player": names.get(event.player_id, event.player_id), "points": event.points} for event in events],
            "timeline": [
                {
                    "row": row,
                    "here": row.pk == heist.pk,
                    "link": links.page_url(site, row),
                    "outcome": self.outcome(row),
                    "attacker": self.attacker_name(row),
                    "victim": self.victim_name(row),
                }
                for row in (*found.earlier, heist, *found.later)
            ],
        }

    def _player(
        self, request: HttpRequest, role: Any, user: Any, tokens: dict[Any, HeistToken], before: int, after: int
    ) -> dict[str, Any]:
        site, token = self.admin_site, tokens.get(user.pk)
        return {
            "role": role,
            "link": links.user_link(site, request, user),
            "before": before,
            "after": after,
            "change": after - before,
            "heists_url": links.list_url(site, Heist, player=user.pk),
            "token": token and links.row_link(site, request, token, token.balance),
            "grant_url": links.grant_url(site, request, [user.pk]),
        }
