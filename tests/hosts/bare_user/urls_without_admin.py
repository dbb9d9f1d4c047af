from django.urls import include, path

urlpatterns = [path("api/heists/", include("heists.urls"))]
