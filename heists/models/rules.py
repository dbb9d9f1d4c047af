"""Rule sets: the values that heists were judged by."""

from __future__ import annotations

from typing import Any

from django.db import connections, models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..db.cache_keys import database_key, server_key
from ..rules import RULE_FIELDS, Rules
from .base import AppendOnlyModel, AppendOnlyQuerySet


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
    """One distinct set of rules that was ever in force. The settings are the source (docs/specification.md, "Data")."""

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
        time = timezone.localtime(self.created_at)
        text = f"{date_format(time, 'DATETIME_FORMAT')} {time.tzname()}"
        return gettext("rules first used on %(time)s") % {"time": text}

    @property
    def rules(self) -> Rules:
        """The values, as `heists.rules` takes them."""
        return Rules(**{name: getattr(self, name) for name in RULE_FIELDS})
