"""Rule sets: the values that heists were judged by. Rule changes: when staff put which of them in force."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.db import connections, models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..choices import RuleChangeKind
from ..db.cache_keys import database_key, server_key
from ..rules import RULE_FIELDS, Rules
from ..user_model import STAFF_NAME_MAX_LENGTH
from .base import AppendOnlyModel, AppendOnlyQuerySet

RULE_CHANGE_TEXT_MAX_LENGTH = 255


class RuleSetQuerySet(AppendOnlyQuerySet["RuleSet"]):
    # Committed rows by database, schema and rules, so that a rule set costs no statement after its first use.
    cache: dict[tuple[tuple[str, ...], Rules], RuleSet] = {}

    def in_force(self, rules: Rules, *, schema: str | None = None) -> RuleSet:
        """Return the row of these rules; it is created the first time they are used.

        `schema` is the one in use, where the caller has read it.
        """
        connection = connections[self.db]
        key = (database_key(self.db) if schema is None else (*server_key(self.db), schema), rules)
        if found := self.cache.get(key):
            return found
        values = {name: getattr(rules, name) for name in RULE_FIELDS}
        row: RuleSet = self.using(connection.alias).get_or_create(**values)[0]
        # Cache committed rows only: a rolled-back one would stay in the cache.
        if not connection.in_atomic_block:
            self.cache[key] = row
        return row

    @classmethod
    def clear_cache(cls, **kwargs: Any) -> None:
        """Empty the cache. Also a receiver of post_migrate, because a flush deletes the rows."""
        cls.cache.clear()


class RuleSet(AppendOnlyModel):
    """One distinct set of rules that was ever in force, or that a rule change names (docs/specification.md, "Data")."""

    token_cost = models.PositiveIntegerField()
    tokens_per_referral = models.PositiveIntegerField()
    steal_percentage = models.PositiveSmallIntegerField()
    max_steal_points = models.PositiveIntegerField()
    min_target_points = models.PositiveIntegerField()
    cooldown_hours = models.PositiveIntegerField()
    target_cooldown_hours = models.PositiveIntegerField()
    max_heists_per_day = models.PositiveIntegerField()
    pair_cooldown_hours = models.PositiveIntegerField()
    monthly_loss_percent = models.PositiveSmallIntegerField()
    shield_cost = models.PositiveIntegerField()
    shield_days = models.PositiveIntegerField()
    newcomer_days = models.PositiveIntegerField(default=0, db_default=0)
    truce_enabled = models.BooleanField(default=True, db_default=True)
    time_zone = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    objects = RuleSetQuerySet.as_manager()

    class Meta:
        verbose_name = _("rule set")
        verbose_name_plural = _("rule sets")
        constraints = [
            # Many processes may use new rules at the same moment; one row remains.
            models.UniqueConstraint(fields=RULE_FIELDS, name="heists_ruleset_unique"),
        ]

    def __str__(self) -> str:
        return gettext("rules first used on %(time)s") % {"time": _time(self.created_at)}

    @property
    def rules(self) -> Rules:
        """The values, as `heists.rules` takes them."""
        return Rules(**{name: getattr(self, name) for name in RULE_FIELDS})


class RuleChangeQuerySet(AppendOnlyQuerySet["RuleChange"]):
    def counting_since(self, moment: dt.datetime) -> RuleChangeQuerySet:
        """Return the changes that decide at `moment` or later, newest first: one before it of each kind, at most."""
        before = self.filter(kind=OuterRef("kind"), takes_effect_at__lte=moment).order_by("-takes_effect_at")
        counting = Q(takes_effect_at__gt=moment) | Q(pk=Subquery(before.values("pk")[:1]))
        return self.filter(counting).select_related("rule_set").order_by("-takes_effect_at")


class RuleChange(AppendOnlyModel):
    """From a moment on, staff put other rules in force, or switch heists off or on.

    Of each kind, the one with the latest moment that has come counts. None is withdrawn: a later one takes its place.
    """

    kind = models.CharField(_("kind"), max_length=max(map(len, RuleChangeKind.values)), choices=RuleChangeKind)
    takes_effect_at = models.DateTimeField(_("takes effect"))
    # Of the kind RULES. Its time zone is that of the settings when it was made, and does not count.
    rule_set = models.ForeignKey(
        RuleSet,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="changes",
        db_index=False,
        verbose_name=_("rule set"),
    )
    # Of the kind SWITCH.
    enabled = models.BooleanField(_("switched on"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=RULE_CHANGE_TEXT_MAX_LENGTH)
    changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("changed by"),
    )
    # Stays when the account of `changed_by` is deleted.
    changed_by_name = models.CharField(
        _("changed by (name)"), max_length=STAFF_NAME_MAX_LENGTH, blank=True, default="", db_default=""
    )
    created_at = models.DateTimeField(_("time"), default=timezone.now, db_default=Now(), editable=False)

    objects = RuleChangeQuerySet.as_manager()

    class Meta:
        verbose_name = _("rule change")
        verbose_name_plural = _("rule changes")
        permissions = [("change_rules", _("Can change the rules, and switch heists off and on"))]
        constraints = [
            # Its index also serves heists.in_force: the changes that count.
            models.UniqueConstraint(fields=["kind", "takes_effect_at"], name="heists_rulechange_one_a_moment"),
            models.CheckConstraint(
                condition=Q(kind=RuleChangeKind.RULES, rule_set__isnull=False, enabled__isnull=True)
                | Q(kind=RuleChangeKind.SWITCH, rule_set__isnull=True, enabled__isnull=False),
                name="heists_rulechange_kind_known",
            ),
        ]

    def __str__(self) -> str:
        if self.kind == RuleChangeKind.RULES:
            text = gettext("rules from %(time)s on")
        elif self.enabled:
            text = gettext("heists switched on at %(time)s")
        else:
            text = gettext("heists switched off at %(time)s")
        return text % {"time": _time(self.takes_effect_at)}


def _time(moment: dt.datetime) -> str:
    time = timezone.localtime(moment)
    return f"{date_format(time, 'DATETIME_FORMAT')} {time.tzname()}"
