"""Things to do for an account."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from apps.crm.models import Task, User
from apps.intake.api.door import Asked, Door, account_or_404
from apps.intake.api.once import once
from apps.intake.api.pages import PageQuery, page
from apps.intake.api.schema import describe
from apps.intake.api.strict import Body, Text


class TaskBody(Body):
    title = Text(max_length=300)
    due_on = serializers.DateField()
    assignee = Text(required=False, allow_null=True, help_text="A login.")

    def validate_assignee(self, login: str | None) -> User | None:
        found = User.objects.assignable().filter(username=login).first() if login else None
        if login and found is None:
            raise serializers.ValidationError("Nobody with this login can be given a task.")
        return found


class TaskShown(serializers.ModelSerializer[Task]):
    assignee = serializers.CharField(source="assignee.username", default=None, allow_null=True)
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)

    class Meta:
        model = Task
        fields = ["id", "title", "due_on", "assignee", "created_by", "created_at", "cause", "done_at"]


class TasksPage(serializers.Serializer[Any]):
    results = TaskShown(many=True)
    next = serializers.CharField(allow_null=True)


class Tasks(Door):
    rights = {"GET": "read", "POST": "task"}

    @describe("listTasks", "Notes and tasks", TasksPage, query=PageQuery, missing=True)
    def get(self, request: Asked, external_id: str) -> Response:
        """The tasks of an account, newest first, done ones among them."""
        query = PageQuery.read(request.query_params)
        return page(
            account_or_404(external_id).tasks.select_related("assignee", "created_by"), TaskShown, query
        )

    @describe("addTask", "Notes and tasks", TaskShown, body=TaskBody, status=201, missing=True, once=True)
    @once
    def post(self, request: Asked, external_id: str) -> Response:
        """Add something to do by a day."""
        account, body = account_or_404(external_id), TaskBody.read(request.data)
        task = account.add_task(**body, by=request.user, now=timezone.now())
        return Response(TaskShown(task).data, status=201)
