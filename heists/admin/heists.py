"""Heists: who took whose points, when, from where, and was it fair?"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import Heist
from . import links
from .filters import PeriodFilter, choice_filter, yes_no_filter
from .readonly import ReadOnlyAdmin


@admin.register(Heist)
class HeistAdmin(ReadOnlyAdmin):
    """The audit of heists."""

    player_paths = ("attacker", "victim")
    address_path = "ip_address"
    search_help_text = _(
        "A player's name (or its beginning), e-mail address or id; or an IP address."
    )
    list_display = (
        "time",
        "attacker_name",
        "victim_name",
        "points",
        "outcome",
        "code",
        "address",
    )
    list_filter = (
        choice_filter("status", _("status")),
        PeriodFilter,
        yes_no_filter("token_spent", _("token spent")),
    )
    list_select_related = ("attacker", "victim")

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
        return heist.get_status_display()

    @admin.display(description=_("failure code"))
    def code(self, heist: Heist) -> Any:
        return heist.failure_code

    @admin.display(description=_("address"))
    def address(self, heist: Heist) -> Any:
        return heist.ip_address
