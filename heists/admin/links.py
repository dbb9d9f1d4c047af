"""Links between the pages of one admin site; each only where that site has the page and the reader may open it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html

from ..models import Heist, HeistToken
from .names import player_name


def may_view(site: AdminSite, request: HttpRequest, model: type[Model]) -> bool:
    """Return whether this site shows the model to this member of staff."""
    return site.is_registered(model) and site.get_model_admin(model).has_view_permission(request)


def url(site: AdminSite, name: str, *args: Any) -> str | None:
    """Return the URL of an admin page by name; None where this site has no such page."""
    try:
        return reverse(f"admin:{name}", args=args, current_app=site.name)
    except NoReverseMatch:
        return None


def list_url(site: AdminSite, model: type[Model], **params: Any) -> str | None:
    """Return the URL of a model's list, filtered by `params`; None where the model is not registered."""
    opts = model._meta
    found = url(site, f"{opts.app_label}_{opts.model_name}_changelist")
    return f"{found}?{urlencode(params)}" if found and params else found


def page_url(site: AdminSite, row: Model) -> str | None:
    """Return the URL of one row's page; None where the model is not registered."""
    opts = row._meta
    return url(site, f"{opts.app_label}_{opts.model_name}_change", quote(row.pk))


def link(address: str | None, label: Any) -> Any:
    """Return the label, as a link where there is an address."""
    return format_html('<a href="{}">{}</a>', address, label) if address else label


def row_link(site: AdminSite, request: HttpRequest, row: Model | None, label: Any = None) -> Any:
    """Return the row's name, as a link where the reader may open it."""
    if row is None:
        return "-"
    return link(page_url(site, row) if may_view(site, request, type(row)) else None, row if label is None else label)


def player_link(site: AdminSite, player: Any, **params: Any) -> Any:
    """Return a player's name, linked to the player's heists."""
    return link(list_url(site, Heist, player=player.pk, **params), player_name(player))


def user_link(site: AdminSite, request: HttpRequest, user: Any) -> Any:
    """Return a player's name, linked to the host's own admin page of the user."""
    return row_link(site, request, user, player_name(user))


def grant_url(site: AdminSite, request: HttpRequest, player_ids: Iterable[Any]) -> str | None:
    """Return the URL of the page that grants tokens to these players; None where the reader may not grant."""
    user: Any = request.user
    found = url(site, "heists_heisttoken_grant")
    if not (found and may_view(site, request, HeistToken) and user.has_perm("heists.grant_tokens")):
        return None
    return f"{found}?{urlencode({'player': list(player_ids)}, doseq=True)}"
