"""Modules of the package to one file: what is needed, in order, as it stands."""

import ast
from collections.abc import Sequence

import pytest

from auricle.config import Preset, load_preset
from auricle.errors import AuricleError
from auricle.handin.assemble import Assembly, chosen, import_lines, program
from auricle.handin.source_text import parse_module, read_module


def assembled(*texts: str, presets: Sequence[Preset] = ()) -> str:
    """Assemble modules given as text, the last of them the program; the first is called auricle.m0."""
    modules = [parse_module(f"auricle.m{number}", text) for number, text in enumerate(texts)]
    return program(Assembly(modules[-1:], presets, modules[:-1]), "A program.")


def result(text: str) -> object:
    """Run a program and return its `result`."""
    names: dict[str, object] = {}
    exec(compile(text, "program", "exec"), names)
    return names["result"]


def test_what_modules_define_stands_in_one_file_without_them():
    text = assembled(
        "LIMIT = 1\n\nclass Box:\n    def get(self):\n        return LIMIT",
        "from auricle.m0 import Box\n\nclass Chest(Box):\n    def get(self):\n        return super().get() + 1",
        "from auricle.m0 import LIMIT\nfrom auricle.m1 import Chest\nresult = Chest().get() + LIMIT",
    )
    assert "auricle" not in {getattr(node, "module", None) for node in ast.walk(ast.parse(text))}
    assert result(text) == 3


def test_a_name_that_a_function_binds_is_none_of_the_modules():
    text = assembled(
        "def size(x):\n    return 1\n\ndef unused(x):\n    return size(x)",
        "from auricle.m0 import size, unused\n\ndef both(unused):\n"
        "    return [unused for unused in [unused]] + [(lambda unused: unused)(2), *(s for s in [3] if (k := s))]\n"
        "\n\nresult = (size(0), both(1))",
    )
    assert result(text) == (1, [1, 2, 3])
    assert "def unused" not in text


def test_comments_decorators_and_docstrings_stay():
    text = assembled(
        "import functools\n\n# Why it is so.\n@functools.cache\ndef f():\n"
        "    '''Say it.'''\n    return 5  # here\n\n\nresult = f()"
    )
    assert "# Why it is so.\n@functools.cache\ndef f():\n    '''Say it.'''\n    return 5  # here\n" in text
    assert result(text) == 5


def test_what_nothing_uses_leaves_no_trace():
    text = assembled("from auricle.data.folds import folds_of\nresult = folds_of('k-fold', (1, 2, 3))")
    assert result(text) == (2, 3)
    assert "sklearn" not in text
    assert "Manifest" not in text


VARIANTS = (
    "from auricle.config.variants import Variants\nimport json\nimport csv\n"
    'PARTS = Variants("encoder.tokens")\n\n@PARTS.of(None)\ndef pool():\n    return json.dumps([1])\n\n'
    '@PARTS.of("time", "map")\ndef attend():\n    return csv.QUOTE_ALL\n'
)


def test_variants_that_no_model_chooses_are_left_out():
    use = "from auricle.m0 import PARTS\nresult = {key: value() for key, value in PARTS.items()}"
    cnn, transformer = load_preset("cnn"), load_preset("transformer-h2")
    assert result(assembled(VARIANTS, use, presets=[cnn])) == {None: "[1]"}
    assert "csv" not in assembled(VARIANTS, use, presets=[cnn])
    assert result(assembled(VARIANTS, use, presets=[transformer])) == {"time": 1, "map": 1}
    assert set(result(assembled(VARIANTS, use, presets=[cnn, transformer]))) == {None, "time", "map"}


def test_a_field_is_followed_through_sections_lists_and_what_is_not_there():
    presets = [load_preset("cnn"), load_preset("transformer-h2", {"augmentation.stretch": 0.1})]
    assert chosen(presets, "encoder.norm") == {None, "pre"}
    assert {"stretch", "mix"} <= chosen(presets, "augmentation")
    assert "stretch" not in chosen(presets[:1], "augmentation")
    assert "dropout" not in chosen(presets, "base.blocks")


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["result = nowhere"], "'nowhere' is not defined"),
        (["def f():\n    from auricle.errors import AuricleError"], "inside a function"),
        (["import json as j\na = j", "from auricle.m0 import a\nimport csv as j\nb = (a, j)"], "j has two meanings"),
        (["x = 1", "from auricle.m0 import x\ny = x", "x = 2\nfrom auricle.m1 import y\nz = (x, y)"], "x has two"),
        (["from auricle import files\nx = files.mark"], "import it under its own name"),
        (["from auricle.errors import AuricleError as Oops\nx = Oops"], "import it under its own name"),
    ],
)
def test_what_cannot_be_assembled_is_refused(texts, reason):
    with pytest.raises(AuricleError, match=reason):
        assembled(*texts)


def test_imports_are_grouped_and_sorted():
    text = assembled("import torch\nimport json\nfrom torch import nn, Tensor as T\na = (torch, json, nn, T)")
    assert "import json\n\nimport torch\nfrom torch import Tensor as T, nn\n" in text
    assert import_lines([]) == "\n"


def test_every_module_of_the_program_can_be_taken_apart():
    assert "run_models" in read_module("auricle.handin.program").by_name["main"].uses
