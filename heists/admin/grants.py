"""Token grants."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import TokenGrant
from .filters import DateRangeFilter, PeriodFilter
from .formats import player_name
from .readonly import ReadOnlyAdmin


@admin.register(TokenGrant)
class TokenGrantAdmin(ReadOnlyAdmin):
    """The list of grants, with the reason and who granted them."""

    player_paths = ("player",)
    list_display = ("time", "player_link", "amount", "reason", "note", "source", "granter")
    list_filter = (PeriodFilter, DateRangeFilter)
    list_select_related = page_select_related = ("player", "granted_by")
    fields = ("player", "amount", "reason", "source", "note", "granted_by", "created_at")
    readonly_fields = ("created_at",)

    @admin.display(description=_("granted by"), empty_value="-")
    def granter(self, grant: TokenGrant) -> Any:
        return grant.granted_by and player_name(grant.granted_by)
