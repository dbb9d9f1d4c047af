from django.urls import include, path

urlpatterns = [path("a/", include([path("b/", include("heists.urls"))]))]
