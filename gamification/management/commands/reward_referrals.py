"""`reward_referrals`: pays the referrals that are earned (docs/specification.md, "Commands")."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import pluralize

from gamification import referrals
from heists.management.options import require_at_least


class Command(BaseCommand):
    help = "Pays the referrals whose conditions are met. Safe to run twice, or twice at once, or to interrupt."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--batch", type=int, default=referrals.BATCH_SIZE, help="referrals read at once (default: %(default)s)"
        )

    def handle(self, *args: Any, batch: int, **options: Any) -> None:
        require_at_least(1, batch=batch)
        try:
            rewarded = referrals.reward_referrals(batch=batch)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{rewarded.paid} referral{pluralize(rewarded.paid)} rewarded, "
            f"{rewarded.never_paid} never paid: their month's limit is reached."
        )
