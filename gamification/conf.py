"""The settings of this host: the dictionary `GAMIFICATION`, read at call time (docs/specification.md, "Referrals")."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class Setting(NamedTuple):
    """A whole number from 0 to `maximum`; None is allowed where it is the default."""

    default: int | None
    maximum: int

    def is_valid(self, value: Any) -> bool:
        """Return whether the setting may have this value."""
        if value is None:
            return self.default is None
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= self.maximum


SETTINGS = {
    # How long a referred player has been a member before the reward.
    "REFERRAL_MEMBER_HOURS": Setting(0, 87_840),
    # What a referred player has earned before the reward.
    "REFERRAL_EARNED_POINTS": Setting(0, 10**9),
    # Rewards for one month's sign-ups of one referrer; None for no limit.
    "REFERRAL_MONTHLY_CAP": Setting(None, 10**9),
}


class ReferralConditions(NamedTuple):
    """What a referral has to meet before its referrer is rewarded, and how many of a month's are."""

    member_for: dt.timedelta
    earned_points: int
    monthly_cap: int | None

    @property
    def pays_at_sign_up(self) -> bool:
        """Whether there are no conditions, so that the sign-up itself pays."""
        return not self.member_for and not self.earned_points and self.monthly_cap is None


def referral_conditions() -> ReferralConditions:
    """Return the conditions in force. Raises ImproperlyConfigured where a value is out of its range."""
    hours, points, cap = (_read(key) for key in SETTINGS)
    return ReferralConditions(dt.timedelta(hours=hours), points, cap)


def _read(key: str) -> Any:
    setting = SETTINGS[key]
    value = getattr(settings, "GAMIFICATION", {}).get(key, setting.default)
    if not setting.is_valid(value):
        raise ImproperlyConfigured(f'GAMIFICATION["{key}"] is {value!r}; `manage.py check` says what to write.')
    return value
