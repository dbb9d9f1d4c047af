"""The attempt log: each rejection and each deleted heist."""

from __future__ import annotations

from django.contrib import admin

from ..models import AttemptLog
from .readonly import ReadOnlyAdmin


@admin.register(AttemptLog)
class AttemptLogAdmin(ReadOnlyAdmin):
    """The list of rejections and deleted heists, by the ids of their players: the accounts may have been deleted."""

    list_display = ("heist_id", "attacker_id", "victim_id", "deleted")
    fields = list_display
    ordering = ("-pk",)
    sortable_by = ()
