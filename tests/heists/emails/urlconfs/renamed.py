from django.urls import include, path

urlpatterns = [path("api/", include("heists.urls", namespace="robbery"))]
