"""The addresses of heists; a host includes them wherever it likes, the example site under `api/heists/`."""

from django.urls import path

from .api.preferences import LetterPreferenceView
from .api.shields import ShieldsView
from .api.unsubscribe import UnsubscribeView

app_name = "heists"

urlpatterns = [
    path("shields/", ShieldsView.as_view(), name="shields"),
    path("preferences/", LetterPreferenceView.as_view(), name="preferences"),
    path("unsubscribe/<str:token>/", UnsubscribeView.as_view(), name="unsubscribe"),
]
