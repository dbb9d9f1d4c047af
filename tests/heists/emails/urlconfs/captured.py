from django.urls import include, re_path

urlpatterns = [re_path(r"^api/(?P<version>v1)/heists/", include("heists.urls"))]
