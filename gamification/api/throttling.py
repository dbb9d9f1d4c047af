"""Rate limits by client address: for signing up, and wherever a password is checked."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

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


def throttled(login: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the admin's sign-in page: its attempts count with those at `api/auth/login/`."""

    @wraps(login)
    def sign_in_page(request: HttpRequest, **kwargs: Any) -> Any:
        throttle = LoginThrottle()
        if request.method == "POST" and not throttle.allow_request(request, None):
            headers = {"Retry-After": str(max(1, math.ceil(throttle.wait())))}
            return HttpResponse("Too many requests.", content_type="text/plain", status=429, headers=headers)
        return login(request, **kwargs)

    return sign_in_page
