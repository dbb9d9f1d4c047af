"""Reversals: their list, and the page that returns the points of a heist (docs/specification.md, "Admin")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db import router
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ..choices import HeistRole
from ..economy import get_economy
from ..errors import AlreadyReversed, AmountChanged, AnotherMonth, HeistError, NothingLeft
from ..models import Heist, Reversal
from ..models.reversals import REVERSAL_TEXT_MAX_LENGTH
from ..services import reverse_heist
from ..services.reversals import Plan, plan_reversal
from . import links
from .filters import DateRangeFilter, PeriodFilter, RoleFilter
from .formats import number, signed, staff_name, when
from .names import name_players, player_name
from .readonly import ReadOnlyAdmin, row_id

if TYPE_CHECKING:
    from .heists import HeistAdmin


@admin.register(Reversal)
class ReversalAdmin(ReadOnlyAdmin):
    """The list of reversals, with who returned points and why."""

    player_paths = ("heist__attacker", "heist__victim")
    list_display = ("time", "of", "points_returned", "token_returned", "reason", "staff")
    list_filter = (PeriodFilter, DateRangeFilter)
    list_select_related = page_select_related = ("heist__attacker", "heist__victim", "reversed_by")
    fieldsets = (
        (None, {"fields": ("created_at", "of", "points_returned", "token_returned", "reason", "note", "staff")}),
        (gettext_lazy("Points"), {"fields": ("attackers", "victims")}),
    )
    readonly_fields = ("created_at", "of", "staff", "attackers", "victims")

    def paths_of_players(self, request: HttpRequest) -> tuple[str, ...]:
        role = request.GET.get(RoleFilter.parameter_name)
        return (f"heist__{role}",) if role in HeistRole.values else self.player_paths

    @admin.display(description=gettext_lazy("heist"))
    def of(self, reversal: Reversal) -> Any:
        return links.link(links.page_url(self.admin_site, reversal.heist), reversal.heist)

    @admin.display(description=gettext_lazy("reversed by"))
    def staff(self, reversal: Reversal) -> Any:
        return staff_name(reversal.reversed_by, reversal.reversed_by_name)

    @admin.display(description=gettext_lazy("attacker"))
    def attackers(self, reversal: Reversal) -> str:
        return f"{number(reversal.attacker_points_before)} → {number(reversal.attacker_points_after)}"

    @admin.display(description=gettext_lazy("victim"))
    def victims(self, reversal: Reversal) -> str:
        return f"{number(reversal.victim_points_before)} → {number(reversal.victim_points_after)}"


class ReverseForm(forms.Form):
    """Why the points are returned. `expected` is the number on the page, which the service compares."""

    expected = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=REVERSAL_TEXT_MAX_LENGTH,
        help_text=gettext_lazy("For staff: kept with the reversal and in the log."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    note = forms.CharField(
        label=gettext_lazy("Note to both players"),
        max_length=REVERSAL_TEXT_MAX_LENGTH,
        required=False,
        help_text=gettext_lazy("Both read it in their notification and email. It may be empty."),
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    return_token = forms.BooleanField(required=False)

    def __init__(self, plan: Plan, data: Any = None) -> None:
        super().__init__(data, initial={"expected": plan.points})
        if plan.tokens:
            label = ngettext("Give back %(count)s token, too", "Give back %(count)s tokens, too", plan.tokens)
            self.fields["return_token"].label = label % {"count": number(plan.tokens)}
        else:
            del self.fields["return_token"]


def may_reverse(model_admin: ReadOnlyAdmin, request: HttpRequest) -> bool:
    """Return whether this member of staff may return points; the view permission is not enough."""
    user: Any = request.user
    return model_admin.has_view_permission(request) and bool(user.has_perm("heists.reverse_heist"))


def url(model_admin: HeistAdmin, request: HttpRequest, heist: Heist) -> str | None:
    """Return the URL of the page that returns a heist's points; None where there is nothing to return."""
    if not (heist.points_stolen and heist.known_reversal is None and may_reverse(model_admin, request)):
        return None
    return links.url(model_admin.admin_site, "heists_heist_reverse", heist.pk) if get_economy().can_give_back else None


def view(model_admin: HeistAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Show the numbers and ask for the reason; on POST, return the points and report the result."""
    if not may_reverse(model_admin, request):
        raise PermissionDenied
    heist_id = row_id(object_id)
    try:
        plan = plan_reversal(heist_id)
        name_players((plan.heist.attacker, plan.heist.victim))
        form = ReverseForm(plan, request.POST if request.method == "POST" else None)
        if form.is_valid():
            try:
                _reverse(model_admin, request, plan, form)
                return HttpResponseRedirect(links.page_url(model_admin.admin_site, plan.heist) or "")
            except AmountChanged:
                plan, seen = plan_reversal(heist_id), form.cleaned_data["expected"]
                name_players((plan.heist.attacker, plan.heist.victim))
                text = _("Meanwhile the number has changed: %(seen)s → %(now)s points. Nothing was returned yet.")
                numbers = {"seen": number(seen), "now": number(plan.points)}
                model_admin.message_user(request, text % numbers, messages.WARNING)
                form = ReverseForm(plan, {**request.POST.dict(), "expected": plan.points})
    except HeistError as error:
        model_admin.message_user(request, _error_text(error), messages.ERROR)
        return HttpResponseRedirect(_back_url(model_admin, heist_id))
    return TemplateResponse(request, "admin/heists/confirm.html", _context(model_admin, request, plan, form))


def _error_text(error: HeistError) -> str:
    """Return why points can't be returned, as a sentence with its numbers."""
    details = error.details
    if isinstance(error, AlreadyReversed):
        text = _("The points of this heist were returned before: %(points)s, on %(time)s, by %(name)s.")
        return text % {
            "points": number(details["points"]),
            "time": when(details["at"]),
            "name": details["by"] or "-",
        }
    if isinstance(error, AnotherMonth):
        text = _("The month of this heist ended on %(time)s. Its points are final and can't be returned.")
        return text % {"time": when(details["ended_at"])}
    if isinstance(error, NothingLeft):
        text = _("The attacker stole %(required)s points and has %(available)s now: there is nothing to return.")
        return text % {"required": number(details["required"]), "available": number(details["available"])}
    return str(error)


def _reverse(model_admin: HeistAdmin, request: HttpRequest, plan: Plan, form: ReverseForm) -> None:
    given = form.cleaned_data
    reversal = reverse_heist(
        heist_id=plan.heist.pk,
        reversed_by=request.user,
        reason=given["reason"],
        note=given["note"],
        return_token=given.get("return_token", False),
        expected_points=given["expected"],
    )
    names = {"attacker": player_name(plan.heist.attacker), "victim": player_name(plan.heist.victim)}
    done = {"points": number(reversal.points_returned), **names}
    log = f"Points returned: {done['points']}, from {names['attacker']} to {names['victim']}."
    if reversal.token_returned:
        log += f" Tokens given back: {number(plan.tokens)}."
    LogEntry.objects.log_actions(
        request.user.pk or 0, [plan.heist], CHANGE, f"{log} {reversal.reason}", single_object=True
    )
    text = ngettext(
        "%(points)s point went back from %(attacker)s to %(victim)s.",
        "%(points)s points went back from %(attacker)s to %(victim)s.",
        reversal.points_returned,
    )
    model_admin.message_user(request, text % done, messages.SUCCESS)


def _back_url(model_admin: HeistAdmin, heist_id: int) -> str:
    site = model_admin.admin_site
    heist = Heist.objects.using(router.db_for_write(Heist)).filter(pk=heist_id).first()
    return (links.page_url(site, heist) if heist else links.list_url(site, Heist)) or ""


def _context(model_admin: HeistAdmin, request: HttpRequest, plan: Plan, form: ReverseForm) -> dict[str, Any]:
    site, heist = model_admin.admin_site, plan.heist
    names = {"attacker": player_name(heist.attacker), "victim": player_name(heist.victim)}
    sentences = [
        ngettext(
            "%(points)s point goes back from %(attacker)s to %(victim)s.",
            "%(points)s points go back from %(attacker)s to %(victim)s.",
            plan.points,
        )
        % {"points": number(plan.points), **names},
        _("The cooldown of the attacker and the protection of the victim stay. A reversal can't be undone."),
    ]
    if plan.points < heist.points_stolen:
        text = _("%(stolen)s points were stolen, but %(attacker)s has only %(points)s left.")
        sentences.insert(
            1, text % {"stolen": number(heist.points_stolen), "points": number(plan.attacker_points), **names}
        )
    return {
        **site.each_context(request),
        "title": _("Return the points"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "crumbs": [
            (links.list_url(site, Heist), capfirst(model_admin.opts.verbose_name_plural)),
            (links.page_url(site, heist), heist),
        ],
        "sentences": sentences,
        "headers": [_("Player"), _("Points now"), _("Difference"), _("Points after")],
        "rows": [
            _row(names["attacker"], plan.attacker_points, -plan.points),
            _row(names["victim"], plan.victim_points, plan.points),
        ],
        "form": form,
        "submit": ngettext("Yes, return %(points)s point", "Yes, return %(points)s points", plan.points)
        % {"points": number(plan.points)},
        "cancel_url": links.page_url(site, heist),
    }


def _row(name: str, points: int, change: int) -> tuple[str, ...]:
    return name, number(points), signed(change), number(points + change)
