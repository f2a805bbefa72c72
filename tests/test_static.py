"""What a deployment serves: each page's scripts and style sheets as one file each, that does what they do apart."""

import gzip
import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from config.static import JOIN, joined_script, joined_sheet

STATIC = settings.BASE_DIR / "static"
TEMPLATES = settings.BASE_DIR / "templates"


def script(**modules):
    """The module ``a`` with all that it imports."""
    return joined_script("a.js", {f"{name}.js": text for name, text in modules.items()}.__getitem__)


def test_a_module_is_joined_once_after_what_it_imports_and_keeps_names_that_clash_to_itself():
    joined = script(
        a='import "./b.js";\nimport { twice } from "./c.js";\n\nconst own = "a";\n',
        b='import { one, twice } from "./c.js";\nconst own = "b";\n',
        c='/** Two\n * lines. */\nexport const one = 1;\n// A word.\nconst own = "c";\n'
        "export async function twice() {}\n",
    )
    assert joined == (
        '// c.js\nconst $c = (() => {\nconst one = 1;\nconst own = "c";\nasync function twice() {}\n'
        "return { one, twice };\n})();\n"
        '\n// b.js\nconst $b = (() => {\nconst { one, twice } = $c;\nconst own = "b";\n})();\n'
        '\n// a.js\nconst $a = (() => {\nconst { twice } = $c;\n\nconst own = "a";\n})();\n'
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('import { two } from "./b.js";\n', "a.js imports two, which b.js does not export"),
        ('import * as b from "./b.js";\n', "a.js cannot be joined with what imports it: import * as b"),
        ('const b = await import("./b.js");\n', "cannot be joined"),
        ("export default 1;\n", "cannot be joined"),
        ("export let one = 1;\n", "cannot be joined"),
        ('import "./a.js";\n', "These import each other: a.js, a.js"),
    ],
)
def test_what_cannot_be_joined_stops_it_with_a_sentence(text, says):
    with pytest.raises(ImproperlyConfigured, match=re.escape(says)):
        script(a=text, b="export const one = 1;\n")


def test_sheets_are_joined_in_the_order_of_their_imports_and_none_that_looks_elsewhere():
    sheets = {
        "pages/a.css": '@import "./app.css";\n@import "../css/b.css";\n',
        "pages/app.css": '@import "../css/tokens.css";\n',
        "css/tokens.css": "@layer one, two;\n",
        "css/b.css": "b { background: url(data:image/png;base64,) }\n",
    }
    assert (
        joined_sheet("pages/a.css", sheets.__getitem__)
        == sheets["css/tokens.css"] + "\n" + sheets["css/b.css"]
    )
    with pytest.raises(ImproperlyConfigured, match=re.escape("css/b.css cannot be joined")):
        joined_sheet("pages/a.css", {**sheets, "css/b.css": "b { background: url(b.png) }"}.__getitem__)


def test_a_page_names_one_style_sheet_and_one_script_and_both_are_there():
    named = {"sheet": set(), "script": set()}
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"static\('(?:js|css)/", text), path
        for kind, name in re.findall(r'{% set (sheet|script) = (?:\w+\|default\()?"(\w+)"', text):
            named[kind].add(name)
    there = {kind: {path.stem for path in STATIC.glob(f"pages/*.{end}")} for kind, end in ENDS}
    assert {kind: names | {"app"} for kind, names in named.items()} == there


ENDS = (("sheet", "css"), ("script", "js"))


def test_collected_files_are_joined_hashed_and_compressed_anew_each_time(settings, tmp_path):
    settings.STATIC_ROOT = tmp_path / "collected"
    settings.STATICFILES_DIRS = [tmp_path / "static"]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STORAGES = {**settings.STORAGES, "staticfiles": {"BACKEND": "config.static.JoinedStorage"}}
    for name, text in {"pages/a.js": 'import "../js/b.js";\n', "js/b.js": "one();\n" * 200}.items():
        Path(tmp_path, "static", name).parent.mkdir(parents=True, exist_ok=True)
        Path(tmp_path, "static", name).write_text(text)
    names = []
    for word in ("one", "two"):
        Path(tmp_path, "static/js/b.js").write_text(f"{word}();\n" * 200)
        call_command("collectstatic", interactive=False, verbosity=0)
        names.append(
            json.loads((settings.STATIC_ROOT / "staticfiles.json").read_text())["paths"]["pages/a.js"]
        )
        joined = settings.STATIC_ROOT / names[-1]
        assert joined.read_text().startswith(f"// js/b.js\nconst $js_b = (() => {{\n{word}();\n")
        assert {path.suffix for path in joined.parent.glob(f"{joined.name}.*")} == {".gz"}
    assert names[0] != names[1]


@pytest.mark.parametrize("path", sorted(STATIC.glob("pages/*.*")), ids=lambda path: path.name)
def test_every_page_can_be_joined(path):
    read = lambda name: (STATIC / name).read_text()  # noqa: E731
    assert JOIN[path.suffix](f"pages/{path.name}", read)


def test_a_page_comes_compressed_with_one_token_for_all_its_forms(browser):
    answer = browser.get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    text = gzip.decompress(answer.content).decode()
    tokens = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"|"X-CSRFToken": "(\w+)"', text)
    assert len(tokens) > 2
    assert len({*map("".join, tokens)}) == 1
    again = browser.get("/").text
    assert "".join(tokens[0]) not in again
