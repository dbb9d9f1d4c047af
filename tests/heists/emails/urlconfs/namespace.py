from django.urls import include, path

urlpatterns = [path("api/", include(([path("", include("heists.urls"))], "game")))]
