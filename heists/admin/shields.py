"""Shields."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import Shield
from . import links
from .formats import number
from .names import player_name
from .readonly import ReadOnlyAdmin


@admin.register(Shield)
class ShieldAdmin(ReadOnlyAdmin):
    """The list of shields, with their state."""

    player_paths = ("player",)
    name_paths = ("player", "used_by__attacker")
    list_display = ("bought_at", "player_link", "state", "paid", "expires_at", "used_at", "blocked")
    list_select_related = ("player", "used_by__attacker")
    page_select_related = ("player", "used_by__attacker", "used_by__victim")
    fields = (
        "player",
        "state",
        "paid",
        "bought_at",
        "expires_at",
        "used_at",
        "used_by",
        "expired_at",
        "idempotency_key",
    )
    readonly_fields = ("state", "paid")
    # By primary key, which is the order of purchase.
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description=_("coins"))
    def paid(self, shield: Shield) -> str:
        return number(shield.cost)

    @admin.display(description=_("state"))
    def state(self, shield: Shield) -> Any:
        return shield.state.label

    @admin.display(description=_("blocked heist of"))
    def blocked(self, shield: Shield) -> Any:
        heist = shield.used_by
        if heist is None:
            return None
        return links.link(links.page_url(self.admin_site, heist), player_name(heist.attacker))
