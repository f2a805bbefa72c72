from django.urls import path

from apps.web.views import account, board, changes, daily, health, imports, moves, playbooks, writing

app_name = "web"
urlpatterns = [
    path("", daily.daily, name="daily"),
    path("accounts/<int:pk>/", account.account, name="account"),
    path("accounts/<int:pk>/assign/", writing.assign, name="assign"),
    path("accounts/<int:pk>/forms/<slug:name>/", writing.form, name="form"),
    path("accounts/<int:pk>/leave-paid-call/", moves.leave_paid_call, name="leave_paid_call"),
    path("accounts/<int:pk>/move/", moves.move, name="move"),
    path("accounts/<int:pk>/note/", writing.note, name="note"),
    path("accounts/<int:pk>/task/", writing.task, name="task"),
    path("accounts/<int:pk>/undo/", moves.undo, name="undo"),
    path("board/", board.board, name="board"),
    path("board/column/<slug:stage>/", board.board_column, name="board_column"),
    path("board/rules/", board.board_rules, name="board_rules"),
    path("changes/", changes.changes, name="changes"),
    path("daily/rows/", daily.rows, name="rows"),
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
