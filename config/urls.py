"""The front of the house: which door answers which address."""

from django.contrib import admin
from django.urls import include, path

handler400 = "apps.intake.api.errors.bad_request"
urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("api/v1/", include("apps.intake.urls")),
    path("hooks/", include("apps.intake.hook_urls")),
    path("", include("apps.web.urls")),
]
