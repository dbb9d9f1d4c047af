"""Authenticates requests by tokens of django-rest-knox (docs/specification.md, "HTTP API")."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied


class TokenAuthentication(KnoxTokenAuthentication):  # type: ignore[misc]
    """`Authorization: Token …`, hashed in the database, expiring, one for each sign-in.

    Knox's own class answers 500 to bytes that are not UTF-8, and on PostgreSQL to NUL. It also reads, and may delete,
    all tokens of a player in every request.
    """

    def authenticate_credentials(self, token: bytes) -> Any:
        if not token.isalnum():
            # bytes.isalnum() accepts ASCII letters and digits only, and a token of ours has no others.
            raise AuthenticationFailed(_("Invalid token."))
        return super().authenticate_credentials(token)

    def validate_user(self, auth_token: Any) -> Any:
        if not auth_token.user.is_active:
            raise PermissionDenied(_("This account is not active."), code="inactive_account")
        return auth_token.user, auth_token

    def _cleanup_token(self, auth_token: Any) -> bool:
        # Expired rows are deleted at the next sign-in (services.sign_in).
        return auth_token.expiry is not None and auth_token.expiry <= timezone.now()
