"""The mixin for the host's own user admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from ..models import Heist, HeistNotification, HeistToken, OutboxEmail, Shield, TokenGrant, Truce
from . import cascade
from .links import list_url, may_view

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = object


class HeistLinksMixin(ModelAdmin):
    """Adds links to a player's heists, tokens, shields, truces, notifications and emails to the host's user admin.

    `class PlayerAdmin(HeistLinksMixin, UserAdmin): ...` is all that is needed. The page that deletes a user then counts
    the rows of heists instead of listing each.
    """

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        models = (Heist, HeistToken, TokenGrant, Shield, Truce, HeistNotification, OutboxEmail)
        found = format_html_join(
            " · ",
            '<a href="{}">{}</a>',
            (
                (address, capfirst(model._meta.verbose_name_plural))
                for model in models
                if may_view(self.admin_site, request, model)
                and (address := list_url(self.admin_site, model, player=obj.pk))
            ),
        )
        # A description needs no field, so the host's forms stay as they are.
        return [*fieldsets, (_("Heists"), {"fields": [], "description": found})] if found else fieldsets

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return Django's summary of a deletion, with the rows of heists counted by model."""
        return cascade.deleted_objects(objs, request, self.admin_site) or super().get_deleted_objects(objs, request)
