from django.urls import path

from apps.intake.doors import DOORS
from apps.intake.hooks import hook

app_name = "hooks"
urlpatterns = [path(f"{name}/", hook, {"provider": name}, name=name) for name in DOORS]
