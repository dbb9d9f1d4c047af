"""What stands beside the heists: grants, shields, and the rules that were ever in force."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..models import RuleSet, Shield, TokenGrant
from . import links
from .filters import PeriodFilter
from .readonly import ReadOnlyAdmin


@admin.register(TokenGrant)
class TokenGrantAdmin(ReadOnlyAdmin):
    """Each gain of tokens, with its reason and who gave it."""

    player_paths = ("player",)
    list_display = ("time", "player_name", "tokens", "why", "note", "source", "giver")
    list_filter = (PeriodFilter,)
    list_select_related = ("player", "granted_by")

    @admin.display(description=_("player"))
    def player_name(self, grant: TokenGrant) -> Any:
        return links.player_link(self.admin_site, grant.player)

    @admin.display(description=_("amount"))
    def tokens(self, grant: TokenGrant) -> int:
        return grant.amount

    @admin.display(description=_("reason"))
    def why(self, grant: TokenGrant) -> Any:
        return grant.get_reason_display()

    @admin.display(description=_("granted by"), empty_value="-")
    def giver(self, grant: TokenGrant) -> Any:
        return grant.granted_by and grant.granted_by.get_username()


@admin.register(Shield)
class ShieldAdmin(ReadOnlyAdmin):
    """Shields, with what became of each."""

    player_paths = ("player",)
    list_display = (
        "player_name",
        "state",
        "paid",
        "bought_at",
        "expires_at",
        "used_at",
        "blocked",
    )
    list_select_related = ("player",)
    # By key: shields are numbered in the order they were bought.
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description=_("player"))
    def player_name(self, shield: Shield) -> Any:
        return links.player_link(self.admin_site, shield.player)

    @admin.display(description=_("coins"))
    def paid(self, shield: Shield) -> int:
        return shield.cost

    @admin.display(description=_("state"))
    def state(self, shield: Shield) -> Any:
        if shield.used_at:
            return _("Used")
        if shield.expired_at or shield.expires_at <= timezone.now():
            return _("Expired")
        return _("Live")

    @admin.display(description=_("blocked heist"))
    def blocked(self, shield: Shield) -> Any:
        return shield.used_by_id


@admin.register(RuleSet)
class RuleSetAdmin(ReadOnlyAdmin):
    """The numbers that heists were judged by."""

    list_display = (
        "pk",
        "time",
        "token_cost",
        "steal_percentage",
        "max_steal_points",
        "min_target_points",
        "cooldown_hours",
        "target_cooldown_hours",
        "max_heists_per_day",
        "monthly_loss_percent",
    )
    ordering = ("-pk",)
    sortable_by = ()
