"""The URLs of the API. A host includes them under a prefix of its choice, such as `api/heists/`."""

from django.urls import path

from .api import heists, me, notifications, preferences, shields, targets, token, truces, unsubscribe

app_name = "heists"

urlpatterns = [
    path("", heists.HeistsView.as_view(), name="heists"),
    path("stats/", heists.StatsView.as_view(), name="stats"),
    path("leaderboard/", heists.LeaderboardView.as_view(), name="leaderboard"),
    path("me/", me.MeView.as_view(), name="me"),
    path("token/", token.TokenView.as_view(), name="token"),
    path("targets/", targets.TargetsView.as_view(), name="targets"),
    # `path`, because a text key may contain a slash.
    path("targets/<path:player_id>/", targets.TargetView.as_view(), name="target"),
    path("notifications/", notifications.NotificationsView.as_view(), name="notifications"),
    path("notifications/read-all/", notifications.NotificationsReadAllView.as_view(), name="read-all"),
    path("notifications/<str:notification_id>/read/", notifications.NotificationReadView.as_view(), name="read"),
    path("shields/", shields.ShieldsView.as_view(), name="shields"),
    path("truce/", truces.TruceView.as_view(), name="truce"),
    path("preferences/", preferences.EmailPreferenceView.as_view(), name="preferences"),
    path("unsubscribe/<str:token>/", unsubscribe.UnsubscribeView.as_view(), name="unsubscribe"),
    # Last, because it matches any other single segment; one that is not a heist's id is a 404.
    path("<str:heist_id>/", heists.HeistView.as_view(), name="heist"),
]
