"""Token grants: their list, and the page that takes one back."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import router
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..choices import GrantReason
from ..db.atomic import outside_atomic_requests
from ..errors import AlreadyTakenBack, AmountChanged, HeistError, NothingLeft
from ..models import TokenGrant
from ..models.tokens import GRANT_TEXT_MAX_LENGTH
from ..services import take_back
from ..services.tokens import amount_to_take_back
from . import links
from .filters import DateRangeFilter, PeriodFilter
from .formats import number, staff_name, when
from .names import player_name
from .readonly import ReadOnlyAdmin, row_id


class TakeBackForm(forms.Form):
    """Why a grant is taken back. `expected` is the number on the page, which the service compares."""

    expected = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=GRANT_TEXT_MAX_LENGTH,
        help_text=gettext_lazy("For staff: kept with the correction and in the log. The player is not notified."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )


@admin.register(TokenGrant)
class TokenGrantAdmin(ReadOnlyAdmin):
    """The list of grants, with the reason and who granted them, and the page that takes one back."""

    change_form_template = "admin/heists/tokengrant/change_form.html"
    player_paths = ("player",)
    list_display = ("time", "player_link", "amount", "reason", "note", "source", "granter")
    list_filter = (PeriodFilter, DateRangeFilter)
    list_select_related = page_select_related = ("player", "granted_by")
    fields = ("player", "amount", "reason", "source", "note", "granter", "created_at")
    readonly_fields = ("granter", "created_at")

    @admin.display(description=gettext_lazy("granted by"))
    def granter(self, grant: TokenGrant) -> Any:
        return staff_name(grant.granted_by, grant.granted_by_name)

    def get_urls(self) -> list[Any]:
        view = outside_atomic_requests(self.admin_site.admin_view(self.take_back_view))
        return [path("<path:object_id>/take-back/", view, name="heists_tokengrant_take_back"), *super().get_urls()]

    def may_take_back(self, request: HttpRequest) -> bool:
        """Return whether this member of staff may take grants back: who may grant tokens may."""
        user: Any = request.user
        return self.has_view_permission(request) and bool(user.has_perm("heists.grant_tokens"))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return super().render_change_form(request, context | self._corrected(request, kwargs["obj"]), *args, **kwargs)

    def _corrected(self, request: HttpRequest, grant: TokenGrant) -> dict[str, Any]:
        """Return the template context about a grant's correction, or the link to the page that makes it."""
        if correction := TokenGrant.objects.correction_of(grant):
            staff = staff_name(correction.granted_by, correction.granted_by_name)
            return {
                "correction": {
                    "link": links.page_url(self.admin_site, correction),
                    "tokens": number(-correction.amount),
                    "time": when(correction.created_at),
                    "staff": staff,
                    "reason": correction.note,
                }
            }
        if grant.reason == GrantReason.CORRECTION or not self.may_take_back(request):
            return {}
        return {"take_back_url": links.url(self.admin_site, "heists_tokengrant_take_back", grant.pk)}

    def take_back_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the numbers and ask for the reason; on POST, take the grant back and report the result."""
        if not self.may_take_back(request):
            raise PermissionDenied
        grants = TokenGrant.objects.using(router.db_for_write(TokenGrant)).select_related("player")
        grant = grants.filter(pk=row_id(object_id)).first()
        if grant is None:
            self.message_user(request, _("There is no such grant any more."), messages.ERROR)
            return HttpResponseRedirect(links.list_url(self.admin_site, TokenGrant) or "")
        page = links.page_url(self.admin_site, grant) or ""
        data = request.POST if request.method == "POST" else None
        try:
            amount = amount_to_take_back(grant)
            form = TakeBackForm(data, initial={"expected": amount})
            if form.is_valid():
                try:
                    self._take_back(request, grant, **form.cleaned_data)
                    return HttpResponseRedirect(page)
                except AmountChanged:
                    amount, seen = amount_to_take_back(grant), form.cleaned_data["expected"]
                    text = _("Meanwhile the number has changed: %(seen)s → %(now)s tokens. Nothing was taken back yet.")
                    self.message_user(request, text % {"seen": number(seen), "now": number(amount)}, messages.WARNING)
                    form = TakeBackForm({"expected": amount, "reason": form.cleaned_data["reason"]})
        except HeistError as error:
            self.message_user(request, _error_text(error), messages.ERROR)
            return HttpResponseRedirect(page)
        return TemplateResponse(request, "admin/heists/confirm.html", self._context(request, grant, amount, form, page))

    def _take_back(self, request: HttpRequest, grant: TokenGrant, *, expected: int, reason: str) -> None:
        correction = take_back(grant=grant, by=request.user, reason=reason, expected_amount=expected)
        name, amount = player_name(grant.player), -correction.amount
        correction.player = grant.player
        log = f"Grant taken back: {number(amount)} of {number(grant.amount)} tokens of {name}. {reason}"
        LogEntry.objects.log_actions(request.user.pk or 0, [correction], ADDITION, log, single_object=True)
        text = ngettext(
            "%(count)s token was taken back from %(player)s.",
            "%(count)s tokens were taken back from %(player)s.",
            amount,
        )
        self.message_user(request, text % {"count": number(amount), "player": name}, messages.SUCCESS)

    def _context(
        self, request: HttpRequest, grant: TokenGrant, amount: int, form: TakeBackForm, page: str
    ) -> dict[str, Any]:
        name = player_name(grant.player)
        text = ngettext(
            "%(count)s token is taken back from %(player)s.", "%(count)s tokens are taken back from %(player)s.", amount
        )
        sentences = [text % {"count": number(amount), "player": name}]
        if amount < grant.amount:
            text = _("%(granted)s were granted, but %(player)s has only %(count)s left.")
            sentences.append(text % {"granted": number(grant.amount), "count": number(amount), "player": name})
        sentences.append(_("A correction can't be undone; tokens can be granted again."))
        return {
            **self.admin_site.each_context(request),
            "title": _("Take back"),
            "opts": self.opts,
            "media": self.media,
            "crumbs": [
                (links.list_url(self.admin_site, TokenGrant), capfirst(self.opts.verbose_name_plural)),
                (page, grant),
            ],
            "sentences": sentences,
            "form": form,
            "submit": ngettext("Yes, take back %(count)s token", "Yes, take back %(count)s tokens", amount)
            % {"count": number(amount)},
            "cancel_url": page,
        }


def _error_text(error: HeistError) -> str:
    """Return why a grant can't be taken back, as a sentence with its numbers."""
    details = error.details
    if isinstance(error, AlreadyTakenBack):
        text = _("This grant was taken back before: %(tokens)s, on %(time)s, by %(name)s.")
        return text % {
            "tokens": number(details["tokens"]),
            "time": when(details["at"]),
            "name": details["by"] or "-",
        }
    if isinstance(error, NothingLeft):
        text = _("%(granted)s were granted, but the player has no tokens left to take back.")
        return text % {"granted": number(details["required"])}
    return str(error)
