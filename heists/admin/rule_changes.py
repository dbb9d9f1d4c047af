"""Rule changes: their list, and the page that shows, tries and changes the rules and the switch.

docs/specification.md, "Admin".
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import router
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .. import conf
from ..choices import FailureCode, HeistStatus, RuleChangeKind
from ..db.atomic import outside_atomic_requests
from ..errors import HeistError, InvalidRuleChange, MomentOutOfRange, MomentTaken, RulesChangedMeanwhile
from ..models import Heist, RuleChange
from ..models.rules import RULE_CHANGE_TEXT_MAX_LENGTH
from ..queries import replay
from ..rules import RULE_FIELDS, Rules
from ..services import change_rules, switch_heists
from . import links
from .formats import number, staff_name, when
from .readonly import ReadOnlyAdmin
from .rules import LABELS

# The rules that can be changed: the time zone is always the setting's.
CHANGEABLE = tuple(name for name in RULE_FIELDS if name != "time_zone")
WEEKS = (1, 2, 4, 8)
# Attempts that the page replays; the command replays more.
MOST_ATTEMPTS = 10_000
# With those that are read only because they protect somebody in the period.
MOST_ROWS = 50_000
TEXT = {"class": "vTextField"}


class State:
    """What the page shows: the changes that count now, and those to come."""

    def __init__(self, now: dt.datetime) -> None:
        # What staff decide by is never read from a replica.
        changes = RuleChange.objects.using(router.db_for_write(RuleChange))
        rows = list(changes.counting_since(now).select_related("rule_set", "changed_by"))
        self.now = now
        newest = changes.filter(kind=RuleChangeKind.RULES).order_by("-pk").values_list("pk", flat=True)
        self.newest = newest.first() or 0
        self.change = _newest(rows, RuleChangeKind.RULES, now)
        self.switch = _newest(rows, RuleChangeKind.SWITCH, now)
        self.to_come = [row for row in reversed(rows) if row.takes_effect_at > now]
        self.rules = conf.rules()
        if self.change and self.change.rule_set:
            self.rules = replace(self.change.rule_set.rules, time_zone=settings.TIME_ZONE)
        self.is_on = self.switch is None or bool(self.switch.enabled)


def _newest(rows: list[RuleChange], kind: RuleChangeKind, now: dt.datetime) -> RuleChange | None:
    return next((row for row in rows if row.kind == kind and row.takes_effect_at <= now), None)


class RuleField(forms.IntegerField):
    """A number of the rules. Every mistake gets the sentence of the system check."""

    def __init__(self, name: str) -> None:
        setting = conf.SETTINGS[name.upper()]
        self.rule, self.least, self.most = name, setting.minimum or 0, setting.maximum or 0
        super().__init__(label=capfirst(LABELS[name]), min_value=self.least, max_value=self.most)

    def clean(self, value: Any) -> Any:
        try:
            return super().clean(value)
        except ValidationError:
            raise ValidationError(self._sentence(str(value))) from None

    def _sentence(self, text: str) -> str:
        try:
            share = float(text)
        except ValueError:
            share = 0.0
        if self.rule == "steal_percentage" and 0 < share < 1:
            return _("This is a share. Did you mean %(number)s?") % {"number": round(share * 100) or 1}
        text = _("Write a whole number from %(least)s to %(most)s.")
        return text % {"least": number(self.least), "most": number(self.most)}


class RulesForm(forms.Form):
    """Other rules, to be replayed or put in force. `seen` is the newest change that the page knew."""

    seen = forms.IntegerField(widget=forms.HiddenInput, required=False)
    weeks = forms.TypedChoiceField(coerce=int, label=gettext_lazy("Replay"))
    takes_effect_at = forms.DateTimeField(
        label=gettext_lazy("In force from"),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}, format="%Y-%m-%dT%H:%M:%S"),
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=RULE_CHANGE_TEXT_MAX_LENGTH,
        help_text=gettext_lazy("For staff: kept with the change and in the log."),
        widget=forms.TextInput(attrs=TEXT),
    )

    def __init__(self, state: State, data: Any = None, *, is_replay: bool = False) -> None:
        values = {name: getattr(state.rules, name) for name in CHANGEABLE}
        # Ten minutes ahead, to the minute: time to look at it again.
        at = timezone.localtime(state.now + dt.timedelta(minutes=11)).replace(second=0, microsecond=0)
        super().__init__(data, initial={**values, "seen": state.newest, "weeks": WEEKS[2], "takes_effect_at": at})
        periods: Any = self.fields["weeks"]
        periods.choices = [
            (weeks, ngettext("the last week", "the last %(count)s weeks", weeks) % {"count": weeks}) for weeks in WEEKS
        ]
        text = _("Time zone: %(zone)s. At least a minute ahead.")
        self.fields["takes_effect_at"].help_text = text % {"zone": timezone.get_current_timezone_name()}
        for name in CHANGEABLE:
            if isinstance(conf.SETTINGS[name.upper()].default, bool):
                self.fields[name] = forms.BooleanField(label=capfirst(LABELS[name]), required=False)
            else:
                self.fields[name] = RuleField(name)
        if is_replay:
            # A replay needs neither.
            self.fields["takes_effect_at"].required = self.fields["reason"].required = False

    def rules(self) -> Rules:
        """Return the rules of a valid form."""
        values: dict[str, Any] = {name: self.cleaned_data[name] for name in CHANGEABLE}
        return Rules(**values, time_zone=settings.TIME_ZONE)


class SwitchForm(forms.Form):
    """Why heists are switched off or on. `enabled` is what they shall be."""

    enabled = forms.TypedChoiceField(
        choices=[("on", "on"), ("off", "off")], coerce=lambda value: value == "on", widget=forms.HiddenInput
    )
    reason = RulesForm.base_fields["reason"]


@admin.register(RuleChange)
class RuleChangeAdmin(ReadOnlyAdmin):
    """The list of rule changes, and the page that makes them."""

    change_list_template = "admin/heists/rulechange/change_list.html"
    list_display = ("time", "change", "takes_effect_at", "reason", "staff")
    list_select_related = page_select_related = ("rule_set", "changed_by")
    fields = ("created_at", "kind", "takes_effect_at", "rules", "reason", "staff")
    readonly_fields = ("rules", "staff", "created_at")
    ordering = ("-takes_effect_at", "-pk")
    sortable_by = ()

    @admin.display(description=gettext_lazy("change"))
    def change(self, change: RuleChange) -> str:
        return capfirst(str(change))

    @admin.display(description=gettext_lazy("rule set"))
    def rules(self, change: RuleChange) -> Any:
        row = change.rule_set
        return links.link(links.page_url(self.admin_site, row), row) if row else "-"

    @admin.display(description=gettext_lazy("changed by"))
    def staff(self, change: RuleChange) -> Any:
        return staff_name(change.changed_by, change.changed_by_name)

    def get_urls(self) -> list[Any]:
        view = outside_atomic_requests(self.admin_site.admin_view(self.rules_view))
        return [path("rules/", view, name="heists_rules"), *super().get_urls()]

    def rules_view(self, request: HttpRequest) -> HttpResponse:
        """Show the rules and the switch; on POST, replay other rules, put them in force, or switch."""
        user: Any = request.user
        may_change = bool(user.has_perm("heists.change_rules"))
        if not self.has_view_permission(request) or (request.method == "POST" and not may_change):
            raise PermissionDenied
        state, action, found = State(timezone.now()), request.POST.get("action"), None
        form = RulesForm(state, request.POST if action in ("replay", "change") else None, is_replay=action == "replay")
        switch = SwitchForm(
            request.POST if action == "switch" else None,
            initial={"enabled": "off" if state.is_on else "on"},
            auto_id="id_switch_%s",
        )
        if action == "switch" and switch.is_valid() and self._switch(request, switch):
            return HttpResponseRedirect(request.path)
        if action == "replay" and form.is_valid():
            found = _replay(form, state)
        if action == "change" and form.is_valid() and self._change(request, form, state):
            return HttpResponseRedirect(request.path)
        if action in ("change", "switch"):
            # What was refused may be so because of a change that came in between.
            state = State(timezone.now())
        context = self._context(request, state, form, switch) | {"found": found, "may_change": may_change}
        return TemplateResponse(request, "admin/heists/rulechange/rules.html", context)

    def _change(self, request: HttpRequest, form: RulesForm, state: State) -> bool:
        given = form.cleaned_data
        try:
            change = change_rules(
                rules=form.rules(),
                takes_effect_at=given["takes_effect_at"],
                changed_by=request.user,
                reason=given["reason"],
                seen_change=given["seen"],
            )
        except HeistError as error:
            form.add_error(*_refusal(error))
            return False
        differences = ", ".join(f"{label} {before} → {after}" for label, before, after in _differing(state.rules, form))
        text = _("The rules change on %(time)s: %(differences)s.")
        done = text % {"time": when(change.takes_effect_at), "differences": differences or "-"}
        self._log(request, change, f"{done} {change.reason}")
        self.message_user(request, done, messages.SUCCESS)
        return True

    def _switch(self, request: HttpRequest, form: SwitchForm) -> bool:
        given = form.cleaned_data
        try:
            change = switch_heists(enabled=given["enabled"], changed_by=request.user, reason=given["reason"])
        except HeistError as error:
            form.add_error(*_refusal(error))
            return False
        text = _("Heists are switched on.") if change.enabled else _("Heists are switched off.")
        self._log(request, change, f"{text} {change.reason}")
        # A name of its own: gettext finds no text within an f-string.
        soon = _("It counts within ten seconds.")
        self.message_user(request, f"{text} {soon}", messages.SUCCESS)
        return True

    def _log(self, request: HttpRequest, change: RuleChange, text: str) -> None:
        LogEntry.objects.log_actions(request.user.pk or 0, [change], ADDITION, text, single_object=True)

    def _context(self, request: HttpRequest, state: State, form: RulesForm, switch: SwitchForm) -> dict[str, Any]:
        site = self.admin_site
        return {
            **site.each_context(request),
            "title": _("Rules and switch"),
            "opts": self.opts,
            "media": self.media,
            "list_url": links.list_url(site, RuleChange),
            "change": state.change and _described(state.change),
            "to_come": [_described(row) for row in state.to_come],
            "zone": settings.TIME_ZONE,
            "rows": [_row(name, state.rules, form) for name in CHANGEABLE],
            "form": form,
            "further_fields": [form["takes_effect_at"], form["reason"]],
            "is_on": state.is_on,
            "switched": state.switch and _described(state.switch),
            "off_by_setting": not conf.enabled(),
            "switch_form": switch,
        }


def _row(name: str, rules: Rules, form: RulesForm) -> dict[str, Any]:
    field = form.fields[name]
    extent = f"{number(field.least)}-{number(field.most)}" if isinstance(field, RuleField) else ""
    return {"field": form[name], "now": _shown(getattr(rules, name)), "range": extent}


def _shown(value: int | bool) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return number(value)


def _differing(rules: Rules, form: RulesForm) -> list[tuple[str, str, str]]:
    """Return each rule that differs from those in force, with both values."""
    proposed = form.rules()
    pairs = ((name, getattr(rules, name), getattr(proposed, name)) for name in CHANGEABLE)
    return [(str(LABELS[name]), _shown(before), _shown(after)) for name, before, after in pairs if before != after]


def _described(change: RuleChange) -> dict[str, Any]:
    return {
        "row": change,
        "name": capfirst(str(change)),
        "time": when(change.takes_effect_at),
        "staff": staff_name(change.changed_by, change.changed_by_name) or "-",
        "reason": change.reason,
    }


def _refusal(error: HeistError) -> tuple[str | None, str]:
    """Return the field that a refusal belongs to, None for the whole form, and the sentence with its numbers."""
    details = error.details
    if isinstance(error, MomentOutOfRange):
        text = _("The moment has to be between %(earliest)s and %(latest)s.")
        return "takes_effect_at", text % {"earliest": when(details["earliest"]), "latest": when(details["latest"])}
    if isinstance(error, MomentTaken):
        text = _("There is a change of the rules for this moment already, by %(name)s.")
        return "takes_effect_at", text % {"name": details["by"] or "-"}
    if isinstance(error, RulesChangedMeanwhile):
        text = _("%(name)s changed the rules on %(time)s. Open this page again to see them.")
        return None, text % {"name": details["by"] or "-", "time": when(details["at"])}
    if isinstance(error, InvalidRuleChange) and details["code_detail"] == "reason":
        return "reason", str(error)
    return None, str(error)


def _replay(form: RulesForm, state: State) -> dict[str, Any] | None:
    """Return what the attempts of the last weeks would be under the rules of the form; None where it says why not."""
    using, rules = router.db_for_write(Heist), form.rules()
    since = state.now - dt.timedelta(weeks=form.cleaned_data["weeks"])
    command = " ".join(f"{name.upper()}={getattr(rules, name)}" for name in CHANGEABLE if _differs(name, rules, state))
    attempts = replay.count(since=since, until=state.now, using=using, limit=MOST_ATTEMPTS + 1)
    if not attempts:
        form.add_error("weeks", _("There were no attempts in this time."))
        return None
    earliest = since - replay.lookback(rules, using)
    if (
        attempts > MOST_ATTEMPTS
        or replay.count(since=earliest, until=state.now, using=using, limit=MOST_ROWS + 1) > MOST_ROWS
    ):
        text = _("These are too many attempts for this page (over %(most)s). Use the command: %(command)s")
        call = f"manage.py simulate_rules {command or 'KEY=VALUE'} --since {since:%Y-%m-%dT%H:%M:%SZ}"
        form.add_error("weeks", text % {"most": number(MOST_ATTEMPTS), "command": call})
        return None
    found = replay.compare(rules, since=since, until=state.now, using=using)
    known = found.attempts - found.unknown
    difference = found.points_replayed - found.points_recorded
    return {
        "since": when(since),
        "attempts": number(found.attempts),
        "changed": number(found.changed),
        "same": number(known - found.changed),
        "unknown": number(found.unknown),
        "rows": [
            (_ending(before), _ending(after), number(count), _per_cent(count, known))
            for (before, after), count in found.changes.most_common()
        ],
        "recorded": number(found.points_recorded),
        "replayed": number(found.points_replayed),
        "difference": _per_cent(difference, found.points_recorded, sign=True),
    }


def _differs(name: str, rules: Rules, state: State) -> bool:
    return bool(getattr(rules, name) != getattr(state.rules, name))


def _ending(code: str | None) -> str:
    return str(FailureCode(code).label if code else HeistStatus.SUCCESS.label)


def _per_cent(part: int, whole: int, *, sign: bool = False) -> str:
    if not whole:
        return "-"
    share = round(100 * part / whole, 1)
    return f"{'+' if sign and share > 0 else ''}{number_format(share, 1)} %"
