"""What the playbooks did is only read; they are paused, and accounts skipped, on their own pages."""

from django.contrib import admin

from apps.crm.admin.base import ReadOnly
from apps.playbooks.models import Act, Run, Switch


@admin.register(Run)
class RunAdmin(ReadOnly):
    list_display = ["playbook", "started_at", "finished_at", "on", "by", "acted", "failed", "tries"]
    list_filter = ["playbook", "started_at"]
    list_select_related = ["by"]
    search_fields = ["playbook"]


@admin.register(Act)
class ActAdmin(ReadOnly):
    list_display = ["playbook", "account", "occasion", "at", "because", "skipped", "by"]
    list_filter = ["playbook", "skipped", "at"]
    list_select_related = ["account", "by"]
    search_fields = ["account__external_id", "occasion"]


@admin.register(Switch)
class SwitchAdmin(ReadOnly):
    list_display = ["playbook", "paused", "by", "at", "last_run_at"]
    list_select_related = ["by"]
    search_fields = ["playbook"]
