"""Every command, option, snippet, file and message in the documents is one of auricle as it is."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from pages import PAGES, ROOT, blocks, commands, page_text, spans

import auricle
from auricle.cli import build_app
from auricle.config import load_preset, load_study
from auricle.config.reading import load_references
from auricle.search.space import load_space

GROUP = typer.main.get_command(build_app())
VERBS = {(name,): verb for name, verb in GROUP.commands.items() if name != "data"}
VERBS |= {("data", name): verb for name, verb in GROUP.commands["data"].commands.items()}
OPTIONS = {option for verb in (GROUP, *VERBS.values()) for each in verb.params for option in each.opts}
ELSEWHERE = {
    "--help",
    "--index-url",
    "--extra-index-url",
    "--head",
    "--address",
    "--port",
}  # options of all, of pip and of ray
by_page = pytest.mark.parametrize("page", PAGES, ids=str)


def verb_of(typed: list[str]) -> tuple[str, ...]:
    return tuple(typed[: 2 if typed[:1] == ["data"] and typed[1:2] != ["check"] else 1])


@by_page
def test_every_command_is_parsed_as_it_stands(page):
    for line in commands(page):
        program, *typed = shlex.split(line, comments=True)
        assert program in ("auricle", "pip", "make", "ray", "RAY_UP_enable_autoscaler_v2=0"), line
        if program == "auricle":
            verb = verb_of(typed)
            VERBS[verb].make_context(" ".join(verb), typed[len(verb) :])


@by_page
def test_every_command_and_option_in_a_sentence_is_one(page):
    for span in spans(page):
        words = span.split()
        if words[0] == "auricle" and words[1:] and "…" not in words:
            assert verb_of(words[1:]) in VERBS or words[1].startswith("-") or words[1] == "COMMAND", span
        if words[0] == "auricle" or words[0].startswith("--"):
            named = {word for word in words if re.fullmatch(r"--[a-z-]+[0-9]*", word)}
            assert named <= OPTIONS | ELSEWHERE, span


@by_page
def test_every_file_of_settings_is_one(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "yaml"):
        name = re.match(r"# ([\w-]+\.yaml)", block.text)[1]
        Path(name).write_text(block.text, encoding="utf-8")
        content = yaml.safe_load(block.text)
        if "parameters" in content:
            load_space(name)
        elif "models" in content:
            load_study(name)
        elif "extends" in content:
            assert load_preset(name).base != load_preset(content["extends"]).base
        elif "references" in content:
            assert load_references(str(Path(name).resolve()))[0].figures
        else:
            assert content["cluster_name"]  # Ray's


@by_page
def test_every_snippet_is_python_and_uses_names_that_auricle_offers(page):
    for block in blocks(page, "python"):
        tree = ast.parse(block.text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "au":
                assert node.attr in auricle.__all__, node.attr
            if isinstance(node, ast.ImportFrom) and node.module == "auricle":
                assert {name.name for name in node.names} <= {*auricle.__all__}


def templates() -> set[str]:
    """Return the texts in auricle's source, with … for the values in them."""
    found = set()
    for path in (ROOT / "src" / "auricle").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.add("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return {re.sub("…+", "…", text) for text in found}


def test_every_message_of_the_troubleshooting_is_one_that_auricle_says():
    headings = re.findall(r"^### `(.+)`$", page_text(Path("docs/guides/troubleshooting.md")), re.MULTILINE)
    assert len(headings) > 20
    said = templates()
    missing = [each for each in headings if not any(re.sub("…+", "…", each) in text for text in said)]
    assert missing == []


def test_the_readme_is_short_names_files_that_exist_and_shows_one_picture():
    text = page_text(Path("README.md"))
    assert len(text.splitlines()) <= 120
    assert len(re.findall(r"!\[", text)) == 1
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / target).exists(), target
