"""The base class of the API's views: permissions, error handling, throttling. See docs/specification.md, "HTTP API"."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from django.contrib.auth import get_user_model
from django.db import DataError, IntegrityError, router
from django.http import Http404
from django.utils.decorators import classonlymethod
from django.utils.functional import cached_property
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.metadata import SimpleMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from ..db.atomic import outside_atomic_requests
from ..errors import InactiveAccount, UnknownPlayer
from ..models.base import IDEMPOTENCY_KEY_MAX_LENGTH
from ..user_model import MAX_INTEGER, is_active, to_key
from .pagination import KeysetPagination
from .parsers import StrictJSONParser, require_length
from .problems import InvalidIdempotencyKey, from_exception
from .throttling import AttemptThrottle, ReadThrottle

logger = logging.getLogger("heists")

# The primary key of a row in a path.
ROW_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
BROWSABLE_RENDERERS = [r for r in APIView.renderer_classes if issubclass(r, BrowsableAPIRenderer)]
IDEMPOTENCY_KEY = re.compile(rf"[\x20-\x7e]{{1,{IDEMPOTENCY_KEY_MAX_LENGTH}}}")


class IsActivePlayer(BasePermission):
    """Allows signed-in players (else 401) whose account is active (else 403)."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user or not request.user.is_authenticated:
            raise NotAuthenticated
        if not _may_play(request.user, view.player_id):
            raise InactiveAccount
        return True


def _may_play(user: Any, player_id: Any) -> bool:
    if is_active(user) or not _is_stateless(user):
        return is_active(user)
    # The claim of the token may be out of date.
    row = _account(player_id)
    return row is not None and is_active(row)


def _is_stateless(user: Any) -> bool:
    """Return whether the user was read from a token and not from the database."""
    return not isinstance(user, get_user_model())


def _account(player_id: Any) -> Any:
    """Return the player's row in the database that is written; None where it was deleted."""
    users = get_user_model()._base_manager
    return users.using(router.db_for_write(users.model)).filter(pk=player_id).first()


class Negotiation(DefaultContentNegotiation):
    """DRF's negotiation, with `format` as the query parameter, whatever the host's `URL_FORMAT_OVERRIDE` is."""

    settings: Any = SimpleNamespace(URL_FORMAT_OVERRIDE="format")


class PlayerView(APIView):
    """A view for the signed-in player. The host's settings choose the authentication classes.

    Handlers accept further arguments: a host may include the URLs under a prefix that captures something.
    """

    permission_classes = [IsActivePlayer]
    parser_classes = [StrictJSONParser]
    throttle_classes = [ReadThrottle]
    # Only lists use it.
    pagination_class: type[KeysetPagination] | None = None
    # Set here, so that answers do not depend on the host's REST_FRAMEWORK. Only a browsable API is taken from there.
    renderer_classes = [JSONRenderer, *BROWSABLE_RENDERERS]
    content_negotiation_class = Negotiation
    metadata_class = SimpleMetadata
    versioning_class = None

    def handle_exception(self, exc: Exception) -> Response:
        missing_row = isinstance(exc, UnknownPlayer | IntegrityError)
        # A token may outlive its account.
        if missing_row and _is_stateless(self.request.user) and _account(self.player_id) is None:
            exc = AuthenticationFailed()
        return super().handle_exception(exc)

    @classonlymethod
    def as_view(cls, **initkwargs: Any) -> Any:
        return outside_atomic_requests(super().as_view(**initkwargs))

    @property
    def default_response_headers(self) -> dict[str, str]:
        vary = ("Authorization", "Cookie", "Accept-Language", *(("Accept",) if len(self.renderer_classes) > 1 else ()))
        headers = {"Cache-Control": "private, no-store", "Vary": ", ".join(vary)}
        return super().default_response_headers | headers

    def get_exception_handler(self) -> Callable[..., Any]:
        # Not `problems.handler`: these views run outside ATOMIC_REQUESTS, so there is no transaction to roll back.
        return from_exception

    def get_format_suffix(self, **kwargs: Any) -> None:
        # The URLs have no format suffix, but a host's prefix may capture something of that name.
        return None

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
        except (ValueError, DataError) as error:
            # For instance a token that contains NUL, which PostgreSQL does not accept.
            logger.warning("unreadable credentials: %s", error)
            raise AuthenticationFailed from error

    @cached_property
    def player_id(self) -> Any:
        """The signed-in player's primary key, in the type of its column. Raises AuthenticationFailed."""
        if (key := to_key(self.request.user.pk)) is None:
            raise AuthenticationFailed
        return key

    def body(self) -> Any:
        """Return the parsed request body. Raises APIException where it is not valid JSON or its length is unknown."""
        require_length(self.request._request)
        return self.request.data

    def row_id(self, text: str) -> int:
        """Return the primary key that a path segment contains. Raises Http404 where it contains none."""
        if not ROW_ID.fullmatch(text) or int(text) > MAX_INTEGER:
            raise Http404
        return int(text)


class AttemptMixin:
    """A view of which one method counts against the limit of attempts; other methods count as reads."""

    request: Any
    attempt_method = "POST"

    def get_throttles(self) -> list[Any]:
        return [AttemptThrottle() if self.request.method == self.attempt_method else ReadThrottle()]

    def idempotency_key(self) -> str | None:
        """Return the `Idempotency-Key` header, None where there is none. Raises InvalidIdempotencyKey."""
        key: str | None = self.request.headers.get("Idempotency-Key")
        if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
            raise InvalidIdempotencyKey
        return key
