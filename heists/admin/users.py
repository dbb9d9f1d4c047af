"""The mixin for the host's own user admin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db import router, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from ..models import Heist, HeistNotification, HeistToken, OutboxEmail, Shield, TokenGrant, Truce
from ..services import delete_player_rows
from . import cascade
from .links import list_url, may_view

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = object


class HeistLinksMixin(ModelAdmin):
    """Adds links to a player's heists, tokens, grants and so on to the host's user admin.

    `class PlayerAdmin(HeistLinksMixin, UserAdmin): ...` is all that is needed. The page that deletes a user then counts
    the rows of heists instead of listing each, and deletes them in a few statements.
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

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete a user as Django does, and the rows of heists first."""
        delete, using = super().delete_model, router.db_for_write(type(obj))
        with transaction.atomic(using=using):
            if _is(delete, admin.ModelAdmin.delete_model) and type(obj).delete is Model.delete:
                _delete_rows([obj.pk], using)
            delete(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        """Delete the users of a queryset as Django does, and the rows of heists first."""
        delete, using = super().delete_queryset, router.db_for_write(queryset.model)
        with transaction.atomic(using=using):
            if _is(delete, admin.ModelAdmin.delete_queryset) and type(queryset).delete is QuerySet.delete:
                # Read where they are deleted.
                _delete_rows(queryset.using(using).values_list("pk", flat=True), using)
            delete(request, queryset)


def _is(method: Any, djangos: Any) -> bool:
    """Return whether a method is Django's own. A host's may keep the account, and then the heists have to stay."""
    return getattr(method, "__func__", None) is djangos


def _delete_rows(keys: Iterable[Any], using: str) -> None:
    # In another database than the users there is no transaction, and no foreign key either.
    if router.db_for_write(Heist) == using:
        delete_player_rows(keys)
