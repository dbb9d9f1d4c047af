"""Token grants."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import TokenGrant
from . import links
from .filters import PeriodFilter
from .readonly import ReadOnlyAdmin


@admin.register(TokenGrant)
class TokenGrantAdmin(ReadOnlyAdmin):
    """The list of grants, with the reason and who granted them."""

    player_paths = ("player",)
    list_display = ("time", "player_name", "tokens", "why", "note", "source", "granter")
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
    def granter(self, grant: TokenGrant) -> Any:
        return grant.granted_by and grant.granted_by.get_username()
