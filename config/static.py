"""How the static files of a deployment are kept: hashed, compressed, and one style sheet and one script a page.

What a page is made of stands in ``static/pages/``, as imports that a browser can follow by itself; while we work on
it, it does. ``collectstatic`` writes what is imported in their place. The scripts keep their scopes: a module becomes a
function that is called once and returns what it exports. Whatever this cannot do stops ``collectstatic``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage

PAGES = "pages/"
# The forms of import and export that are joined, each on a line of its own; any other is refused.
IMPORT = re.compile(r'^import (?:\{ ([\w, ]+) \} from )?"(\.\.?/[\w./-]+)";\n', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:(?:async )?function|const) (\w+))", re.MULTILINE)
NOT_JOINED = re.compile(r"^\s*(?:import|export)\b.*|\bimport\s*[(.].*", re.MULTILINE)
# Lines of nothing else: a quarter of what a script weighs. The code keeps its form.
COMMENT = re.compile(r"^ *(?://.*|/\*\*(?s:.*?)\*/)\n", re.MULTILINE)
SHEET = re.compile(r'^@import "(\.\.?/[\w./-]+)";\n', re.MULTILINE)
NOT_A_SHEET = re.compile(r"@import\b.*|@charset\b.*|url\((?!['\"]?data:).*")

# Gives the text of a static file by its name.
Read = Callable[[str], str]


class JoinedStorage(CompressedManifestStaticFilesStorage):
    """Joins what each page is made of before it is hashed and compressed."""

    def create_compressor(self, **options: Any) -> Compressor:
        """By gzip alone, whatever else is installed: Brotli would cost more than it saves."""
        return Compressor(**options, use_brotli=False)

    def post_process(self, paths: dict[str, Any], *args: Any, **options: Any) -> Iterator[Any]:
        if not options.get("dry_run"):
            read = partial(_text, paths)
            for name in paths:
                if joined := name.startswith(PAGES) and JOIN.get(Path(name).suffix):
                    Path(self.path(name)).write_text(joined(name, read), "utf-8")
                    paths = {**paths, name: (self, name)}
        yield from super().post_process(paths, *args, **options)


def _text(paths: dict[str, Any], name: str) -> str:
    """A file as it was before anything was joined."""
    if name not in paths:
        raise ImproperlyConfigured(f"{name} is imported, and there is no such static file.")
    storage, path = paths[name]
    with storage.open(path) as file:
        return str(file.read().decode())


def joined_script(entry: str, read: Read) -> str:
    """A script and all it imports as one script: each module once, after those it imports."""
    texts: dict[str, str] = {}
    for name in _in_order(entry, read, IMPORT, 2):
        text = read(name)
        exports = EXPORT.findall(text)
        body = EXPORT.sub("", IMPORT.sub(partial(_import, name, read), COMMENT.sub("", text)))
        _refuse(NOT_JOINED, name, body)
        given = f"return {{ {', '.join(exports)} }};\n" if exports else ""
        texts[_variable(name)] = f"// {name}\nconst {_variable(name)} = (() => {{\n{body}{given}}})();\n"
    return "\n".join(texts.values())


def _import(importer: str, read: Read, found: re.Match[str]) -> str:
    """What stands in the place of an import: the names taken from what the module has returned."""
    names, path = found.groups()
    if names is None:
        return ""
    module = _resolved(importer, path)
    if missing := {*names.split(", ")} - {*EXPORT.findall(read(module))}:
        raise ImproperlyConfigured(
            f"{importer} imports {', '.join(missing)}, which {module} does not export."
        )
    return f"const {{ {names} }} = {_variable(module)};\n"


def joined_sheet(entry: str, read: Read) -> str:
    """A style sheet and all it imports as one, in the order of the imports."""
    sheets = []
    for name in _in_order(entry, read, SHEET, 1):
        text = SHEET.sub("", read(name))
        _refuse(NOT_A_SHEET, name, text)
        sheets.append(text)
    return "\n".join(filter(str.strip, sheets))


JOIN = {".js": joined_script, ".css": joined_sheet}


def _in_order(name: str, read: Read, imports: re.Pattern[str], path: int) -> list[str]:
    """The names of what a file imports, directly or not, each after what it imports itself; the file's own last."""
    found: list[str] = []

    def visit(name: str, importers: tuple[str, ...]) -> None:
        if name in importers:
            raise ImproperlyConfigured(f"These import each other: {', '.join((*importers, name))}.")
        for match in imports.finditer(read(name)):
            visit(_resolved(name, match[path]), (*importers, name))
        if name not in found:
            found.append(name)

    visit(name, ())
    return found


def _resolved(importer: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), path))


def _variable(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))


def _refuse(pattern: re.Pattern[str], name: str, text: str) -> None:
    if found := pattern.search(text):
        raise ImproperlyConfigured(f"{name} cannot be joined with what imports it: {found[0].strip()}")
