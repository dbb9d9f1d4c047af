"""Serializers of sign-up, sign-in and password change. The services validate the values."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from rest_framework import serializers

_USERNAME_LENGTH = get_user_model()._meta.get_field("username").max_length
_PASSWORD: dict[str, Any] = {
    "write_only": True,
    # A space may be part of a password. The limit bounds the time that hashing takes.
    "trim_whitespace": False,
    "max_length": 256,
    "style": {"input_type": "password"},
}


class TextField(serializers.CharField):
    """A text. `CharField` takes a number too, and makes a text of it."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class SignupSerializer(serializers.Serializer[Any]):
    """A new account."""

    id = serializers.IntegerField(read_only=True)
    username = TextField(max_length=_USERNAME_LENGTH)
    password = TextField(**_PASSWORD)
    referral_code = TextField(
        max_length=64,
        required=False,
        allow_null=True,
        help_text="In a request: the code of the player who referred you. In the answer: your own.",
    )


class LoginSerializer(serializers.Serializer[Any]):
    """A username and its password, for a token."""

    username = TextField(max_length=_USERNAME_LENGTH, write_only=True)
    password = TextField(**_PASSWORD)
    token = serializers.CharField(read_only=True)


class PasswordSerializer(serializers.Serializer[Any]):
    """The current password and the new one."""

    password = TextField(**_PASSWORD)
    new_password = TextField(**_PASSWORD)
