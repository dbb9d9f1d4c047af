"""Tokens: who holds how many, read only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import HeistToken
from . import links
from .readonly import ReadOnlyAdmin


@admin.register(HeistToken)
class HeistTokenAdmin(ReadOnlyAdmin):
    """One row a player."""

    player_paths = ("user",)
    list_display = (
        "player",
        "held",
        "total_earned",
        "total_spent",
        "spent",
        "last_earned_at",
    )
    list_select_related = ("user",)
    ordering = ("-pk",)
    sortable_by = ("held", "spent")

    @admin.display(description=_("player"))
    def player(self, token: HeistToken) -> Any:
        return links.player_link(self.admin_site, token.user)

    @admin.display(description=_("balance"), ordering="balance")
    def held(self, token: HeistToken) -> int:
        return token.balance

    @admin.display(description=_("last spent"), ordering="last_spent_at")
    def spent(self, token: HeistToken) -> Any:
        return token.last_spent_at
