"""Links between the pages of one admin site; each only where the reader may open it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from ..models import Heist, HeistNotification, HeistToken, OutboxEmail, Shield, TokenGrant

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = object


def may_view(site: AdminSite, request: HttpRequest, model: type[Model]) -> bool:
    """Return whether this site shows the model to this member of staff."""
    return site.is_registered(model) and site.get_model_admin(model).has_view_permission(request)


def list_url(site: AdminSite, model: type[Model], **params: Any) -> str:
    """Return the URL of a model's list, filtered by `params`."""
    opts = model._meta
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist", current_app=site.name)
    return f"{url}?{urlencode(params)}" if params else url


def page_url(site: AdminSite, row: Model) -> str:
    """Return the URL of one row's page."""
    opts = row._meta
    return reverse(
        f"admin:{opts.app_label}_{opts.model_name}_change",
        args=[quote(row.pk)],
        current_app=site.name,
    )


def row_link(site: AdminSite, request: HttpRequest, row: Model | None, label: Any = None) -> Any:
    """Return the row's name, as a link where the reader may open it."""
    if row is None:
        return "-"
    label = row if label is None else label
    if not may_view(site, request, type(row)):
        return label
    return format_html('<a href="{}">{}</a>', page_url(site, row), label)


def player_link(site: AdminSite, player: Any, **params: Any) -> Any:
    """Return a player's name, linked to the player's heists."""
    url = list_url(site, Heist, player=player.pk, **params)
    return format_html('<a href="{}">{}</a>', url, player.get_username())


def user_link(site: AdminSite, request: HttpRequest, user: Any) -> Any:
    """Return a player's name, linked to the host's own admin page of the user."""
    return row_link(site, request, user, user.get_username())


class HeistLinksMixin(ModelAdmin):
    """Adds links to a player's heists, tokens, shields, notifications and emails to the host's user admin.

    `class PlayerAdmin(HeistLinksMixin, UserAdmin): ...` is all that is needed.
    """

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        models = (Heist, HeistToken, TokenGrant, Shield, HeistNotification, OutboxEmail)
        found = format_html_join(
            " · ",
            '<a href="{}">{}</a>',
            (
                (
                    list_url(self.admin_site, model, player=obj.pk),
                    capfirst(model._meta.verbose_name_plural),
                )
                for model in models
                if may_view(self.admin_site, request, model)
            ),
        )
        # A description needs no field, so the host's forms stay as they are.
        return [*fieldsets, (_("Heists"), {"fields": [], "description": found})] if found else fieldsets


def grant_url(site: AdminSite, request: HttpRequest, player_ids: Iterable[Any]) -> str | None:
    """Return the URL of the page that grants tokens to these players; None where the reader may not grant."""
    user: Any = request.user
    if not (may_view(site, request, HeistToken) and user.has_perm("heists.grant_tokens")):
        return None
    query = urlencode({"player": list(player_ids)}, doseq=True)
    return f"{reverse('admin:heists_heisttoken_grant', current_app=site.name)}?{query}"
