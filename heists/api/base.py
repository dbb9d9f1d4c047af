"""What all views of heists share: who may knock, how errors look, how often (spec section 6)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

from django.db import DataError
from django.http import Http404
from django.utils.decorators import classonlymethod
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from ..db.atomic import outside_atomic_requests
from ..errors import InactiveAccount
from .pagination import PageCursor
from .parsers import StrictJSONParser
from .problems import InvalidIdempotencyKey, answer
from .throttling import AttemptThrottle, ReadThrottle

logger = logging.getLogger("heists")

# The id of a row in an address: what a BigAutoField holds.
ROW_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")


class IsActivePlayer(BasePermission):
    """Signed in (else 401) with an active account (else 403)."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user or not request.user.is_authenticated:
            raise NotAuthenticated
        if not getattr(request.user, "is_active", True):
            raise InactiveAccount
        return True


class PlayerView(GenericAPIView[Any]):
    """A view for the signed-in player. How they sign in is the host's business: there are no authentication classes."""

    permission_classes = [IsActivePlayer]
    parser_classes = [StrictJSONParser]
    throttle_classes = [ReadThrottle]
    # A view that answers no list never asks for it.
    pagination_class: type[PageCursor] | None = PageCursor
    filter_backends: Any = []

    @classonlymethod
    def as_view(cls, **initkwargs: Any) -> Any:
        return outside_atomic_requests(super().as_view(**initkwargs))

    def get_exception_handler(self) -> Callable[..., Any]:
        # Not `handler`: no transaction of the request is around these views, so there is only a test's to undo.
        return answer

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
        except (ValueError, DataError) as error:
            # Say a token with a NUL inside, which PostgreSQL does not take.
            logger.warning("unreadable credentials: %s", error)
            raise AuthenticationFailed from error

    @property
    def player_id(self) -> Any:
        """The primary key of who asks."""
        return self.request.user.pk

    def row_id(self, text: str) -> int:
        """Return the id that a part of the address stands for. Raises Http404 where it can't be one."""
        if not ROW_ID.fullmatch(text) or int(text) >= 2**63:
            raise Http404
        return int(text)


class AttemptMixin:
    """For views whose POST does something that costs: it counts as an attempt, other methods as reads."""

    request: Any

    def get_throttles(self) -> list[Any]:
        return [AttemptThrottle() if self.request.method == "POST" else ReadThrottle()]

    def idempotency_key(self) -> str | None:
        """Return the request's `Idempotency-Key`, None where it has none. Raises InvalidIdempotencyKey."""
        key: str | None = self.request.headers.get("Idempotency-Key")
        if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
            raise InvalidIdempotencyKey
        return key
