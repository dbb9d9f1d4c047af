"""Authenticates requests by tokens of django-rest-knox (docs/specification.md, "HTTP API").

Every request is signed in first, so the statement is SQL: built by the ORM it takes a third of the processor time of
reading a balance (docs/performance.md).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections, router
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from knox.crypto import hash_token
from knox.models import get_token_model
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied

# The digest is the primary key.
OWNER = """
    SELECT {columns} FROM {tokens} t JOIN {users} u ON u.{user_key} = t.user_id
     WHERE t.digest = %s AND (t.expiry IS NULL OR t.expiry > %s)
"""


class TokenAuthentication(KnoxTokenAuthentication):  # type: ignore[misc]
    """`Authorization: Token …`, hashed in the database, expiring, one for each sign-in.

    Knox's own class answers 500 to bytes that are not UTF-8, and on PostgreSQL to NUL. It also reads, and may delete,
    all tokens of a player in every request; here, expired ones are deleted at the next sign-in (`services.sign_in`).
    """

    def authenticate_credentials(self, token: bytes) -> Any:
        if not token.isalnum():
            # bytes.isalnum() accepts ASCII letters and digits only, and a token of ours has no others.
            raise AuthenticationFailed(_("Invalid token."))
        tokens, digest = get_token_model(), hash_token(token.decode())
        using = router.db_for_read(tokens)
        now = connections[using].ops.adapt_datetimefield_value(timezone.now())
        owners = get_user_model()._base_manager.using(using).raw(_statement(using), [digest, now])
        user = next(iter(owners), None)
        if user is None:
            raise AuthenticationFailed(_("Invalid token."))
        if not user.is_active:
            raise PermissionDenied(_("This account is not active."), code="inactive_account")
        # Its other fields are read where somebody asks for them.
        return user, tokens.from_db(using, ["digest"], [digest])


@lru_cache(maxsize=8)
def _statement(using: str) -> str:
    quote, users = connections[using].ops.quote_name, get_user_model()._meta
    return OWNER.format(
        columns=", ".join(f"u.{quote(str(field.column))}" for field in users.concrete_fields),
        tokens=quote(get_token_model()._meta.db_table),
        users=quote(users.db_table),
        user_key=quote(str(users.pk.column)),
    )
