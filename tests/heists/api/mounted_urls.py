"""A URLconf that includes the API in the ways that hosts do."""

from __future__ import annotations

from django.urls import include, path, re_path

nested = [path("game/", include("heists.urls"))]

urlpatterns = [
    path("plain/", include("heists.urls")),
    re_path(r"^named/(?P<version>v1)/heists/", include("heists.urls", namespace="named")),
    re_path(r"^unnamed/(v1|v2)/heists/", include("heists.urls", namespace="unnamed")),
    path("converted/<slug:tenant>/<int:season>/", include("heists.urls", namespace="converted")),
    path("nested/<slug:tenant>/", include((nested, "outer"), namespace="inner")),
    # The names of the API's own parameters, of its query, and of DRF's format suffix.
    path("clash/<heist_id>/<player_id>/<notification_id>/<token>/<format>/", include("heists.urls", namespace="clash")),
]
