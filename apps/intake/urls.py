from django.urls import path, re_path

from apps.intake.api import accounts, alerts, bills, door, metrics, moves, notes, schema, tasks

app_name = "intake"
# An external id may hold anything, a slash too; so the longer addresses come first.
urlpatterns = [
    path("accounts", accounts.Accounts.as_view()),
    path("accounts/<path:external_id>/move", moves.Move.as_view()),
    path("accounts/<path:external_id>/undo", moves.Undo.as_view()),
    path("accounts/<path:external_id>/leave-paid-call", moves.LeavePaidCall.as_view()),
    path("accounts/<path:external_id>/transitions", moves.Transitions.as_view()),
    path("accounts/<path:external_id>/notes", notes.Notes.as_view()),
    path("accounts/<path:external_id>/tasks", tasks.Tasks.as_view()),
    path("accounts/<path:external_id>", accounts.OneAccount.as_view()),
    path("alerts", alerts.Alerts.as_view()),
    path("alerts/<int:pk>/resolve", alerts.Resolve.as_view()),
    path("bills", bills.Bills.as_view()),
    path("metrics", metrics.Metrics.as_view()),
    path("metrics/<slug:name>", metrics.OneMetric.as_view()),
    path("openapi.json", schema.OpenAPI.as_view(), name="openapi"),
    path("docs", schema.docs, name="api-docs"),
    re_path("", door.NotFound.as_view()),
]
