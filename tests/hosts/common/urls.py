import os

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("api/heists/", include("heists.urls"))]
if os.environ.get("SKIN") == "grappelli":
    urlpatterns.append(path("grappelli/", include("grappelli.urls")))
