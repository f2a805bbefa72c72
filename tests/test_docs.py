"""The documents say what is so."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.core.management import call_command, get_commands

from apps.crm.pipeline import MOVES, STAGES, Stage
from apps.web import generated_docs

ROOT = settings.BASE_DIR
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def prose(path):
    return path.read_text(encoding="utf-8")


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request):
    return request.param


def test_generated_pages_are_current():
    call_command("docs", check=True)


def test_a_stale_page_is_named_and_nothing_is_written(tmp_path, settings, capsys):
    (tmp_path / ".env.example").write_text("# Says what.\nNAME=value\n")
    settings.BASE_DIR = tmp_path
    call_command("docs")
    assert "| `NAME` | `value` | Says what. |" in (tmp_path / "docs/settings.md").read_text()
    (tmp_path / "docs/policy.md").write_text("old")
    capsys.readouterr()
    with pytest.raises(SystemExit) as left:
        call_command("docs", check=True)
    assert left.value.code == 1
    assert capsys.readouterr().out == "docs/policy.md is stale; `make docs` writes it anew\n"
    assert (tmp_path / "docs/policy.md").read_text() == "old"


def test_the_page_of_the_pipeline_has_every_stage_and_every_move():
    page = generated_docs.pipeline()
    table, _, pairs = page.partition("## Moves")[2].partition("## Every pair")
    assert all(f"| `{stage}` | {stage.label} |" in page for stage in STAGES)
    assert table.count("\n| ") == len(MOVES) + 2
    assert len(re.findall(r"(?<=\| )PA?\*?(?= \|)", pairs)) == len(MOVES)
    assert pairs.count("\n| ") == len(Stage) + 2


def test_every_make_target_that_is_named_exists(document):
    assert set(re.findall(r"\bmake ([a-z][a-z-]+)\b", " ".join(spans(document)))) <= TARGETS


def test_every_command_that_is_named_exists(document):
    assert set(re.findall(r"manage\.py ([a-z_]+)", prose(document))) <= {*get_commands(), "createsuperuser"}


def test_every_link_to_a_file_resolves(document):
    links = re.findall(r"\]\((?!https?://|mailto:|#)([^)#\s]+)", prose(document))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_path_that_is_named_exists(document):
    named = re.findall(r"`((?:apps|config|tests|templates|static|docs)/[\w./-]*)`", prose(document))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_no_absolute_path_is_named(document):
    assert re.findall(r"(?<![\w.<>/:])/(?:home|root|work|tmp|usr|opt|var)/\S*", prose(document)) == []


def spans(document):
    """What stands in code spans and code blocks: prose may say “make sure”."""
    text = prose(document)
    return re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)
