from django.urls import include, path, re_path

urlpatterns = [
    re_path(r"^api/(?P<version>v1)/heists/", include("heists.urls")),
    path("heists/", include("heists.urls", namespace="heists-email")),
]
