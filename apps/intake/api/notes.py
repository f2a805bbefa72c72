"""Notes on an account."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.response import Response

from apps.crm.models import Note
from apps.intake.api.door import Asked, Door, account_or_404
from apps.intake.api.once import once
from apps.intake.api.pages import PageQuery, page
from apps.intake.api.schema import describe
from apps.intake.api.strict import Body, Text


class NoteBody(Body):
    text = Text(max_length=20_000, help_text="Markdown.")


class NoteShown(serializers.ModelSerializer[Note]):
    author = serializers.CharField(source="author.username", default=None, allow_null=True)

    class Meta:
        model = Note
        fields = ["id", "text", "kind", "author", "created_at", "edited_at"]


class NotesPage(serializers.Serializer[Any]):
    results = NoteShown(many=True)
    next = serializers.CharField(allow_null=True)


class Notes(Door):
    rights = {"GET": "read", "POST": "note"}

    @describe("listNotes", "Notes and tasks", NotesPage, query=PageQuery, missing=True)
    def get(self, request: Asked, external_id: str) -> Response:
        """The notes on an account, newest first."""
        query = PageQuery.read(request.query_params)
        return page(account_or_404(external_id).notes.select_related("author"), NoteShown, query)

    @describe("addNote", "Notes and tasks", NoteShown, body=NoteBody, status=201, missing=True, once=True)
    @once
    def post(self, request: Asked, external_id: str) -> Response:
        """Write down a note."""
        account, body = account_or_404(external_id), NoteBody.read(request.data)
        note = account.add_note(body["text"], by=request.user, now=timezone.now())
        return Response(NoteShown(note).data, status=201)
