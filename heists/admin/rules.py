"""Rule sets."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import RuleSet
from .formats import number
from .readonly import ReadOnlyAdmin

LABELS = {
    "token_cost": _("token cost"),
    "tokens_per_referral": _("tokens per referral"),
    "steal_percentage": _("steal percentage"),
    "max_steal_points": _("max steal points"),
    "min_target_points": _("min target points"),
    "cooldown_hours": _("cooldown hours"),
    "target_cooldown_hours": _("target cooldown hours"),
    "max_heists_per_day": _("max heists per day"),
    "pair_cooldown_hours": _("pair cooldown hours"),
    "monthly_loss_percent": _("monthly loss percent"),
    "shield_cost": _("shield cost"),
    "shield_days": _("shield days"),
    "newcomer_days": _("newcomer days"),
    "truce_enabled": _("truce enabled"),
    "time_zone": _("time zone"),
}


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

    def _column(self, name: Any) -> Any:
        if name not in LABELS:
            return super()._column(name)
        is_switch = name == "truce_enabled"

        @admin.display(description=LABELS[name], boolean=is_switch)
        def shown(row: RuleSet) -> Any:
            value = getattr(row, name)
            return value if is_switch or isinstance(value, str) else number(value)

        shown.__name__ = name
        return shown
