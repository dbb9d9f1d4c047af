"""Rule sets."""

from __future__ import annotations

from django.contrib import admin

from ..models import RuleSet
from .readonly import ReadOnlyAdmin


@admin.register(RuleSet)
class RuleSetAdmin(ReadOnlyAdmin):
    """The list of rule sets that heists were judged by."""

    list_display = (
        "time",
        "token_cost",
        "steal_percentage",
        "max_steal_points",
        "min_target_points",
        "cooldown_hours",
        "target_cooldown_hours",
        "max_heists_per_day",
        "monthly_loss_percent",
        "newcomer_days",
        "truce_enabled",
    )
    ordering = ("-pk",)
    sortable_by = ()
