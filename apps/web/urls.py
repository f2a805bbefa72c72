from django.urls import path

from apps.web.views import (
    account,
    alerting,
    alerts,
    board,
    calls,
    changes,
    daily,
    editing,
    health,
    hygiene,
    imports,
    marking,
    moves,
    playbooks,
    tasking,
    tasks,
    theirs,
    writing,
)

app_name = "web"
urlpatterns = [
    path("", daily.daily, name="daily"),
    path("accounts/<int:pk>/", account.account, name="account"),
    path("accounts/<int:pk>/assign/", editing.edit, {"name": "owner"}, name="assign"),
    path("accounts/<int:pk>/contract-renewal/", editing.edit, {"name": "contract"}, name="contract"),
    path("accounts/<int:pk>/extend/", editing.edit, {"name": "extension"}, name="extend"),
    path("accounts/<int:pk>/forms/<slug:name>/", writing.form, name="form"),
    path("accounts/<int:pk>/hand-pick/", editing.edit, {"name": "hand-picked"}, name="hand_pick"),
    path("accounts/<int:pk>/label/", editing.label, name="label"),
    path("accounts/<int:pk>/labels/", editing.edit, {"name": "labels"}, name="labels"),
    path("accounts/<int:pk>/leave-paid-call/", moves.leave_paid_call, name="leave_paid_call"),
    path("accounts/<int:pk>/move/", moves.move, name="move"),
    path("accounts/<int:pk>/note/", writing.note, name="note"),
    path("accounts/<int:pk>/notes/<int:note>/", editing.note, name="note_edit"),
    path("accounts/<int:pk>/over/", account.over, name="over"),
    path("accounts/<int:pk>/renewal/", editing.edit, {"name": "renewal"}, name="renewal"),
    path("accounts/<int:pk>/risk/", editing.edit, {"name": "risk"}, name="risk"),
    path("accounts/<int:pk>/task/", writing.task, name="task"),
    path("accounts/<int:pk>/undo/", moves.undo, name="undo"),
    path("accounts/<int:pk>/unlabel/", editing.unlabel, name="unlabel"),
    path("alerts/", alerts.alerts, name="alerts"),
    *(
        path(f"alerts/<int:pk>/{name}/", alerting.change, {"name": name}, name=f"alert_{name}")
        for name in alerting.CHANGES
    ),
    *(
        path(f"alerts/many/{name}/", alerting.change_many, {"name": name}, name=f"alerts_{name}")
        for name in alerting.MANY
    ),
    path("board/", board.board, name="board"),
    path("board/column/<slug:stage>/", board.board_column, name="board_column"),
    path("board/rules/", board.board_rules, name="board_rules"),
    path("calls/", calls.calls, name="calls"),
    path("calls/<int:pk>/host/", marking.host, name="call_host"),
    path("calls/<int:pk>/mark/", marking.mark, name="call_mark"),
    path("changes/", changes.changes, name="changes"),
    path("daily/changed/", daily.changed, name="changed"),
    path("daily/looked/", daily.looked, name="looked"),
    path("daily/rows/", daily.rows, name="rows"),
    path("forms/<slug:name>/", writing.ready_form, name="ready_form"),
    path("healthz", health.healthz, name="healthz"),
    path("hygiene/", hygiene.hygiene, name="hygiene"),
    path("import/", imports.imports, name="imports"),
    path("import/<int:pk>/", imports.one_import, name="import"),
    path("import/<int:pk>/columns/", imports.columns, name="import_columns"),
    path("import/<int:pk>/confirm/", imports.confirm, name="import_confirm"),
    path("import/<int:pk>/progress/", imports.progress, name="import_progress"),
    path("import/<int:pk>/release/", imports.release, name="import_release"),
    path("import/drift/", theirs.drift, name="drift"),
    path("import/quarantine/", theirs.quarantine, name="quarantine"),
    path("playbooks/", playbooks.playbooks, name="playbooks"),
    path("playbooks/<slug:name>/", playbooks.playbook, name="playbook"),
    path("playbooks/<slug:name>/pause/", playbooks.pause, name="playbook_pause"),
    path("playbooks/<slug:name>/resume/", playbooks.resume, name="playbook_resume"),
    path("playbooks/<slug:name>/run/", playbooks.run_now, name="playbook_run"),
    path("playbooks/<slug:name>/skip/", playbooks.skip_account, name="playbook_skip"),
    path("readyz", health.readyz, name="readyz"),
    path("tasks/", tasks.tasks, name="tasks"),
    *(
        path(f"tasks/<int:pk>/{name}/", tasking.change, {"name": name}, name=f"task_{name}")
        for name in tasking.CHANGES
    ),
    path("tasks/<int:pk>/next/", tasking.next_step, name="task_next"),
]
