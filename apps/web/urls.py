from django.urls import path

from apps.web.views import health, playbooks

app_name = "web"
urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("playbooks/", playbooks.playbooks, name="playbooks"),
    path("playbooks/<slug:name>/", playbooks.playbook, name="playbook"),
    path("playbooks/<slug:name>/pause/", playbooks.pause, name="playbook_pause"),
    path("playbooks/<slug:name>/resume/", playbooks.resume, name="playbook_resume"),
    path("playbooks/<slug:name>/run/", playbooks.run_now, name="playbook_run"),
    path("playbooks/<slug:name>/skip/", playbooks.skip_account, name="playbook_skip"),
    path("readyz", health.readyz, name="readyz"),
]
