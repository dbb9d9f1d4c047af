"""How many requests a minute a client address may send to the views that need no account."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from heists.api.throttling import MinuteThrottle


class AddressThrottle(MinuteThrottle):
    """Counts the requests of one client address."""

    def client(self, request: Any) -> str:
        return str(self.get_ident(request))


class SignupThrottle(AddressThrottle):
    scope = "signup"

    def limit(self) -> int:
        return int(settings.SIGNUP_RATE_LIMIT_PER_MINUTE)


class LoginThrottle(AddressThrottle):
    scope = "login"

    def limit(self) -> int:
        return int(settings.LOGIN_RATE_LIMIT_PER_MINUTE)
