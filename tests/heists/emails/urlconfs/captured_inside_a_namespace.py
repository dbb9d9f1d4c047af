from django.urls import include, path

urlpatterns = [path("<slug:tenant>/", include(([path("heists/", include("heists.urls"))], "game")))]
