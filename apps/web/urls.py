from django.urls import path

from apps.web.views import health, imports, playbooks

app_name = "web"
urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("import/", imports.imports, name="imports"),
    path("import/<int:pk>/", imports.one_import, name="import"),
    path("import/<int:pk>/columns/", imports.columns, name="import_columns"),
    path("import/<int:pk>/confirm/", imports.confirm, name="import_confirm"),
    path("import/<int:pk>/progress/", imports.progress, name="import_progress"),
    path("import/<int:pk>/release/", imports.release, name="import_release"),
    path("playbooks/", playbooks.playbooks, name="playbooks"),
    path("playbooks/<slug:name>/", playbooks.playbook, name="playbook"),
    path("playbooks/<slug:name>/pause/", playbooks.pause, name="playbook_pause"),
    path("playbooks/<slug:name>/resume/", playbooks.resume, name="playbook_resume"),
    path("playbooks/<slug:name>/run/", playbooks.run_now, name="playbook_run"),
    path("playbooks/<slug:name>/skip/", playbooks.skip_account, name="playbook_skip"),
    path("readyz", health.readyz, name="readyz"),
]
