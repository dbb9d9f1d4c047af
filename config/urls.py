"""The example site's addresses."""

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.cache import cache_page
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from gamification.api.leaderboard import LeaderboardView
from gamification.api.throttling import throttled
from gamification.api.views import LoginView, LogoutView, PasswordView, SignupView

from . import errors
from .health import HealthView, ReadyView
from .views import PlayView

# The description is the same for everybody, and takes long to generate.
SCHEMA_CACHE_SECONDS = 600

urlpatterns = [
    path("", PlayView.as_view(), name="play"),
    path("healthz/", HealthView.as_view(), name="healthz"),
    path("readyz/", ReadyView.as_view(), name="readyz"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/login/", throttled(admin.site.login)),
    path("admin/", admin.site.urls),
    path("api/heists/", include("heists.urls")),
    path("api/leaderboard/", LeaderboardView.as_view(), name="leaderboard"),
    path("api/signup/", SignupView.as_view(), name="signup"),
    path("api/auth/login/", LoginView.as_view(), name="login"),
    path("api/auth/logout/", LogoutView.as_view(), name="logout"),
    path("api/auth/password/", PasswordView.as_view(), name="password"),
    path("api/schema/", cache_page(SCHEMA_CACHE_SECONDS)(SpectacularAPIView.as_view()), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    # The two that people type. A path of the API itself needs its slash: a redirect would lose a body.
    path("api/docs", RedirectView.as_view(pattern_name="docs", query_string=True)),
    path("api/schema", RedirectView.as_view(pattern_name="schema", query_string=True)),
    # Last: an unknown path of the API is answered in JSON.
    path("api/<path:path>", errors.unknown_path),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error
