from django.contrib import admin
from django.urls import include, path, re_path

urlpatterns = [
    path("admin/", admin.site.urls),
    re_path(r"^play/(?P<version>v1)/heists/", include(([path("", include("heists.urls"))], "play"))),
    # Emails need a path without a version.
    path("heists/", include("heists.urls", namespace="heists-email")),
]
