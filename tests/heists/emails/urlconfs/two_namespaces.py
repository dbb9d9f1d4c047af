from django.urls import include, path

inner = ([path("api/", include("heists.urls"))], "game")
urlpatterns = [path("v1/", include(([path("", include(inner, namespace="play"))], "v1")))]
