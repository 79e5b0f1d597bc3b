"""Reference pages made from the code itself: commands, configuration, models, exit codes, the run folder."""

import inspect
import re
from collections.abc import Iterable, Iterator, Sequence

import typer

from auricle.audit.finding_types import FINDING_TYPES, FindingType
from auricle.cli import build_app
from auricle.config import Preset, Section, StudyConfig, load_preset, preset_names, settings
from auricle.config.reference import allowed_text, default_text
from auricle.errors import EXIT_CODES
from auricle.runs.contents import CONTENTS
from auricle.search.space import SpaceConfig

CODE = r"`[^`]*`|"
BAR, SIGN = re.compile(CODE + r"\|"), re.compile(CODE + r"[<*_\[\]{}]")
WHOLE = "transformer-h4"  # a preset in which every section takes part


def reference_pages() -> dict[str, str]:
    """Return each page, path to Markdown."""
    return {
        "reference/commands.md": commands_page(),
        "reference/configuration.md": configuration_page(),
        "reference/models.md": models_page(),
        "reference/findings.md": findings_page(),
        "reference/exit-codes.md": exit_codes_page(),
        "reference/run-folder.md": run_folder_page(),
    }


def verbs() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Yield each command with its full name, such as `data get`, in the order of `auricle --help`."""
    for name, verb in typer.main.get_command(build_app()).commands.items():
        inner = getattr(verb, "commands", None)
        yield from ((f"{name} {part}", each) for part, each in inner.items()) if inner else [(name, verb)]


def commands_page() -> str:
    """Return every command with its arguments, its options and its examples."""
    lines = [
        "# Commands\n",
        "Every command of `auricle`, as `--help` shows it. Options before the command, `--quiet` and `--verbose`, hold",
        "for all; `auricle --install-completion` completes names in bash, zsh and fish. How a command ends is in the",
        "list of [exit codes](exit-codes.md).\n",
    ]
    for name, verb in verbs():
        context = verb.make_context(f"auricle {name}", [], resilient_parsing=True)
        about, example = _plain(verb.help or ""), verb.epilog or ""
        lines += [f"## auricle {name}\n", about, "", f"    {verb.get_usage(context).partition(': ')[2].strip()}", ""]
        records = [each.get_help_record(context) for each in verb.params if not getattr(each, "hidden", False)]
        lines += _table(
            ("argument or option", "meaning"),
            ((_code(re.sub(" <[^>]+>", "", typed)), _plain(text)) for typed, text in filter(None, records)),
        )
        lines += ["", "```sh", *(line.strip() for line in example.splitlines()[2:]), "```", ""]
    return "\n".join(lines)


def configuration_page() -> str:
    """Return every field of a preset, a study and a search: default, allowed values, meaning."""
    lines = [
        "# Configuration\n",
        "Every field has one name: in YAML files, after `--set` on the command line, in Python and in the report.",
        "`auricle config MODEL` lists the values of a model; [Studies](../guides/study.md) shows files of your own.\n",
        "## Presets\n",
        "A preset is a model and its training recipe.\n",
    ]
    preset = load_preset(WHOLE)
    for section, info in Preset.model_fields.items():
        rows = [
            (
                f"`{each.field}`",
                _code(each.default) or "required",
                each.allowed,
                f"**{_plain(each.label)}**: {_plain(each.description)}",
            )
            for each in settings(preset)
            if each.section == section
        ]
        if rows:
            lines += [f"### {section}\n", f"{_sentence(info.description)}\n"]
            lines += [*_table(("field", "default", "allowed", "meaning"), rows), ""]
        elif section in ("name", "about"):
            lines += [f"`{section}`: {info.description}.\n"]
    for title, kind in (("Studies", StudyConfig), ("Searches", SpaceConfig)):
        lines += [f"## {title}\n", f"{kind.__doc__.partition(chr(10))[0]}\n", *_fields(kind), ""]
    return "\n".join(lines)


def _fields(kind: type[Section]) -> list[str]:
    rows = (
        (f"`{name}`", _code(default_text(info)) or ("" if not info.is_required() else "required"), allowed_text(info),
         _plain(info.description or ""))
        for name, info in kind.model_fields.items()
    )  # fmt: skip
    return _table(("field", "default", "allowed", "meaning"), rows)


def models_page() -> str:
    """Return the presets with what each is."""
    presets = [load_preset(name) for name in preset_names()]
    rows = ((f"`{preset.name}`", _plain(preset.about)) for preset in presets)
    return "\n".join([
        "# Models\n",
        "The networks that come with auricle. `auricle models NAME` shows one layer by layer, `auricle config NAME`",
        "its recipe; a model of your own is a [YAML file](../guides/study.md#a-model-of-your-own).\n",
        *_table(("model", "what it is"), rows), "",
    ])  # fmt: skip


def findings_page() -> str:
    """Return every kind of finding of the check, the gravest first."""
    meaning = " ".join(inspect.getdoc(FindingType).split("\n\n")[1].split())
    rows = ((each.severity, f"`{each.name}`", _plain(each.title), _plain(each.fix)) for each in FINDING_TYPES.values())
    lines = [
        "# Findings of the check\n",
        f"What `auricle check` can find. {meaning} The names are those of `--json`.\n",
        *_table(("severity", "name", "finding", "what to do"), rows),
        "",
    ]
    return "\n".join(lines)


def exit_codes_page() -> str:
    """Return what each exit code means."""
    rows = ((f"`{code}`", meaning) for code, meaning in EXIT_CODES.items())
    return "\n".join([
        "# Exit codes\n",
        "Results go to standard output, progress and messages to standard error. Every expected failure is one line:",
        "the rule, the value that broke it, what to do next.\n",
        *_table(("code", "meaning"), rows), "",
    ])  # fmt: skip


def run_folder_page() -> str:
    """Return every file that a study leaves behind."""
    rows = ((f"`{path}`", about) for path, about in CONTENTS.items())
    return "\n".join([
        "# The run folder\n",
        "A study is a folder, `runs/NAME` unless `--out` says otherwise; everything known about it is there. Files",
        "are written whole or not at all and have a hash: a damaged file is refused by name. Words in capitals",
        "stand for names; `PROTOCOL-FOLD-SEED` is, for example, `k-fold-2-0`.\n",
        *_table(("file", "content"), rows), "",
        "A clip's probabilities are the mean of its windows' by `weight`; every metric comes from `predictions.csv`.\n",
    ])  # fmt: skip


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table in Markdown, in which a bar is no border."""
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(BAR.sub(_escaped, cell) for cell in line)} |" for line in lines]


def _plain(text: str) -> str:
    """Return plain text, whose signs mean themselves but for those of `code`, as Markdown."""
    return SIGN.sub(_escaped, text)


def _escaped(sign: re.Match[str]) -> str:
    return sign[0] if sign[0].startswith("`") else "&lt;" if sign[0] == "<" else f"\\{sign[0]}"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _sentence(text: str | None) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""
