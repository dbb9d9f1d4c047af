"""Heists: the list, and the page with all that belongs to one heist."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..choices import HeistRole
from ..db.atomic import outside_atomic_requests
from ..economy import get_economy
from ..models import Heist, HeistToken, Truce
from ..queries import evidence
from . import dashboard, export, links, reversals
from .filters import DateRangeFilter, PeriodFilter, TokenSpentFilter, choice_filter
from .formats import number, signed, staff_name, when
from .names import player_name
from .readonly import ReadOnlyAdmin


@admin.register(Heist)
class HeistAdmin(ReadOnlyAdmin):
    """The list of heists, each one's page, the dashboard and the export."""

    change_list_template = "admin/heists/heist/change_list.html"
    change_form_template = "admin/heists/heist/change_form.html"
    player_paths = ("attacker", "victim")
    address_path = "ip_address"
    search_help_text = _("A player's name (or its beginning), email address or id; or an IP address.")
    list_display = ("time", "attacker_name", "victim_name", "points", "outcome", "failure_code", "address")
    list_filter = (choice_filter("status", _("status")), PeriodFilter, DateRangeFilter, TokenSpentFilter)
    list_select_related = ("attacker", "victim")
    page_select_related = ("attacker", "victim", "rule_set", "reversal__reversed_by")
    fieldsets = (
        (
            _("What happened"),
            {"fields": ("created_at", "outcome", "failure_code", "failure_reason", "points", "token_spent")},
        ),
        (_("Request"), {"fields": ("address", "idempotency_key", "retry_at")}),
    )
    readonly_fields = ("created_at", "outcome", "points", "address")

    @admin.display(description=_("attacker"))
    def attacker_name(self, heist: Heist) -> Any:
        return links.player_link(self.admin_site, heist.attacker)

    @admin.display(description=_("victim"))
    def victim_name(self, heist: Heist) -> Any:
        return links.player_link(self.admin_site, heist.victim)

    @admin.display(description=_("points"))
    def points(self, heist: Heist) -> str:
        return number(heist.points_stolen)

    @admin.display(description=_("status"))
    def outcome(self, heist: Heist) -> Any:
        kind = "success" if heist.points_stolen else "outcome" if heist.is_outcome else "rejection"
        return format_html('<span class="heists-{}">{}</span>', kind, heist.get_status_display())

    @admin.display(description=_("address"))
    def address(self, heist: Heist) -> Any:
        if not heist.ip_address:
            return None
        return links.link(links.list_url(self.admin_site, Heist, q=heist.ip_address), heist.ip_address)

    def get_urls(self) -> list[Any]:
        site = self.admin_site
        return [
            path("dashboard/", site.admin_view(self.dashboard_view), name="heists_dashboard"),
            path("export/", site.admin_view(self.export_view), name="heists_heist_export"),
            path(
                "<path:object_id>/return-points/",
                outside_atomic_requests(site.admin_view(self.reverse_view)),
                name="heists_heist_reverse",
            ),
            *super().get_urls(),
        ]

    def dashboard_view(self, request: HttpRequest) -> HttpResponse:
        """Show the dashboard."""
        return dashboard.view(self, request)

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Stream the filtered list as CSV."""
        return export.view(self, request)

    def reverse_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the points of a heist."""
        return reversals.view(self, request, object_id)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return super().render_change_form(request, context | self._evidence(request, kwargs["obj"]), *args, **kwargs)

    def players_of_page(self, heist: Heist) -> list[Any]:
        """Return the players of the heist and of the heists around it, which are read here for `_evidence`."""
        found = evidence.around(heist, get_economy())
        vars(heist)["evidence"] = found
        return [player for row in (heist, *found.earlier, *found.later) for player in (row.attacker, row.victim)]

    def _evidence(self, request: HttpRequest, heist: Heist) -> dict[str, Any]:
        """Return the template context about this heist; takes a fixed number of statements."""
        site = self.admin_site
        tokens = {
            token.user_id: token for token in HeistToken.objects.filter(user__in=(heist.attacker_id, heist.victim_id))
        }
        names = {player.pk: player_name(player) for player in (heist.attacker, heist.victim)}
        found: evidence.Evidence = vars(heist)["evidence"]
        rules = heist.rule_set.rules
        last_outcome, last_loss = found.attackers_last_outcome, _last_loss(heist, found, tokens.get(heist.victim_id))
        return {
            "players": [self._player(request, heist, role, tokens) for role in HeistRole],
            "rules": rules,
            "rules_link": links.row_link(site, request, heist.rule_set),
            "share": _share(heist) if heist.points_stolen else None,
            "last_outcome": last_outcome and when(last_outcome.created_at),
            "cooldown_ended": last_outcome and when(last_outcome.created_at + rules.cooldown),
            "last_loss": last_loss and when(last_loss),
            "protection_ended": last_loss and when(last_loss + rules.protection),
            "truces": [_truce(truce, heist) for truce in found.truces],
            "joined": found.victim_joined_at and when(found.victim_joined_at),
            "newcomer_until": found.victim_joined_at and when(found.victim_joined_at + rules.newcomer_life),
            "notifications": [
                {
                    "row": row,
                    "link": links.row_link(site, request, row, row.get_type_display()),
                    "player": names.get(row.user_id) or player_name(row.user),
                }
                for row in heist.notifications.select_related("user").order_by("pk")
            ],
            "events": _point_events(heist),
            "reversal": _reversal(heist),
            "reverse_url": reversals.url(self, request, heist),
            "timeline": [self._timeline_row(row, heist) for row in (*found.earlier, heist, *found.later)],
        }

    def _timeline_row(self, row: Heist, heist: Heist) -> dict[str, Any]:
        return {
            "here": row.pk == heist.pk,
            "time": when(row.created_at),
            "link": links.page_url(self.admin_site, row),
            "points": self.points(row),
            "outcome": self.outcome(row),
            "attacker": self.attacker_name(row),
            "victim": self.victim_name(row),
        }

    def _player(
        self, request: HttpRequest, heist: Heist, role: HeistRole, tokens: dict[Any, HeistToken]
    ) -> dict[str, Any]:
        site, user = self.admin_site, getattr(heist, role)
        token = tokens.get(user.pk)
        before, after = getattr(heist, f"{role}_points_before"), getattr(heist, f"{role}_points_after")
        return {
            "role": role.label,
            "link": links.user_link(site, request, user),
            "before": number(before),
            "after": number(after),
            "change": signed(after - before),
            "heists_url": links.list_url(site, Heist, player=user.pk),
            "token": links.row_link(site, request, token, number(token.balance)) if token else number(0),
            "grant_url": links.grant_url(site, request, [user.pk]),
        }


def _truce(truce: Truce, heist: Heist) -> dict[str, Any]:
    """Return whose truce it is, its first moment and its end, which may have been set after the attempt."""
    names = {player.pk: player_name(player) for player in (heist.attacker, heist.victim)}
    return {
        "player": names[truce.player_id],
        "starts": when(truce.starts_at),
        "ends": when(truce.ends_at) if truce.ends_at else None,
    }


def _last_loss(heist: Heist, found: evidence.Evidence, token: HeistToken | None) -> dt.datetime | None:
    """Return when the victim had last been robbed, also by accounts that were deleted since; None for never."""
    losses = [loss.at for loss in token.deleted_losses if loss.heist_id < heist.pk] if token else []
    if found.victims_last_loss:
        losses.append(found.victims_last_loss.created_at)
    return max(losses, default=None)


def _share(heist: Heist) -> dict[str, Any]:
    """Return how the points of a success were computed."""
    rules, full_share = heist.rule_set.rules, evidence.full_share(heist)
    return {
        "percent": rules.steal_percentage,
        "points": number(heist.victim_points_before),
        "most": number(rules.max_steal_points),
        "full": number(full_share),
        "stolen": number(heist.points_stolen),
        "limited": heist.points_stolen < full_share,
    }


def _reversal(heist: Heist) -> dict[str, Any] | None:
    """Return what the page says about a heist's reversal; None where there is none."""
    if (reversal := heist.known_reversal) is None:
        return None
    return {
        "row": reversal,
        "time": when(reversal.created_at),
        "points": number(reversal.points_returned),
        "staff": staff_name(reversal.reversed_by, reversal.reversed_by_name),
        "tokens": number(heist.rule_set.token_cost) if reversal.token_returned else None,
    }


def _point_events(heist: Heist) -> list[dict[str, Any]] | None:
    """Return the host's point events of a heist; None where the host keeps none."""
    events = get_economy().point_events([heist.pk])
    if events is None:
        return None
    names: dict[Any, str] = {player.pk: player_name(player) for player in (heist.attacker, heist.victim)}
    return [{"player": names.get(event.player_id, event.player_id), "points": signed(event.points)} for event in events]
