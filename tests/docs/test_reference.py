"""The reference pages are made of what the code says, and leave nothing of it out."""

import inspect
import sys
from pathlib import Path

import pytest

from auricle import errors, runs
from auricle.config import Preset, StudyConfig
from auricle.config.sections import section_within
from auricle.errors import EXIT_CODES, AuricleError
from auricle.runs.contents import CELL_FILES, CONTENTS
from auricle.runs.folder import _PathInside
from auricle.search.space import SpaceConfig

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "docs"))

from reference import reference_pages, verbs


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return reference_pages()


def test_every_command_has_its_options_there(pages):
    for name, verb in verbs():
        text = pages["reference/commands.md"].partition(f"## auricle {name}\n")[2].partition("\n## ")[0]
        for each in verb.params:
            if not getattr(each, "hidden", False):
                assert each.opts[0] in text or each.metavar in text, (name, each.name)


def test_every_field_has_a_meaning_there(pages):
    text = pages["reference/configuration.md"]
    for section in (
        StudyConfig,
        SpaceConfig,
        *filter(None, (section_within(each.annotation) for each in Preset.model_fields.values())),
    ):
        for field, info in section.model_fields.items():
            assert info.description, f"{section.__name__}.{field} has no description"
            assert f"`{field}`" in text or f"`{field}." in text, field


def test_a_less_than_sign_is_text_and_no_tag(pages):
    """Markdown has no backslash escape for it: `\\<cls>` was a tag, which a browser does not show."""
    assert "untrained &lt;cls>" in pages["reference/models.md"]
    assert not [name for name, text in pages.items() if "\\<" in text]


def test_every_exit_code_has_a_meaning(pages):
    kinds = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, AuricleError)]
    assert {each.exit_code for each in kinds} | {0, 130, 143} == set(EXIT_CODES)
    assert all(f"| `{code}` | {meaning} |" in pages["reference/exit-codes.md"] for code, meaning in EXIT_CODES.items())


def test_the_run_folder_names_every_file_that_rooms_know():
    for owner, named in ((runs.Cell, CELL_FILES), (runs.StudyFolder, CONTENTS)):
        for each in vars(owner).values():
            if isinstance(each, _PathInside):
                assert each.name in named or any(path.startswith(f"{each.name}/") for path in named), each.name
