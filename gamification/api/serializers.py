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


class SignupSerializer(serializers.Serializer[Any]):
    """A new account."""

    id = serializers.IntegerField(read_only=True)
    username = serializers.CharField(max_length=_USERNAME_LENGTH)
    password = serializers.CharField(**_PASSWORD)
    referral_code = serializers.CharField(
        max_length=64,
        required=False,
        allow_null=True,
        help_text="In a request: the code of the player who referred you. In the answer: your own.",
    )


class LoginSerializer(serializers.Serializer[Any]):
    """A username and its password, for a token."""

    username = serializers.CharField(max_length=_USERNAME_LENGTH, write_only=True)
    password = serializers.CharField(**_PASSWORD)
    token = serializers.CharField(read_only=True)


class PasswordSerializer(serializers.Serializer[Any]):
    """The current password and the new one."""

    password = serializers.CharField(**_PASSWORD)
    new_password = serializers.CharField(**_PASSWORD)
