"""Modules of the package to one file: what is needed, in order, each name once."""

import ast

import pytest

from auricle.errors import AuricleError
from auricle.handin.assemble import Assembly
from auricle.handin.sections import imports, written
from auricle.handin.sources import parse_module, read_module


def assembled(*texts: str) -> str:
    """Assemble modules given as text, the last of them the program; the first is called auricle.m0."""
    modules = [parse_module(f"auricle.m{place}", text) for place, text in enumerate(texts)]
    return written(Assembly(modules), "A program.")


def result(text: str) -> object:
    """Run a program and return its `result`."""
    names: dict[str, object] = {}
    exec(compile(text, "program", "exec"), names)
    return names["result"]


def test_the_names_of_two_modules_do_not_meet():
    text = assembled(
        '"""One."""\nLIMIT = 1\n\ndef _step(x):\n    return x + LIMIT\n\n'
        "class Box:\n    def get(self):\n        return _step(0)",
        '"""Two."""\nfrom auricle.m0 import Box as First\nLIMIT = 10\n\ndef _step(x):\n    return x + LIMIT\n\n'
        "class Box(First):\n    def get(self):\n        return super().get() + _step(0)",
        '"""Three."""\nfrom auricle.m0 import LIMIT as least\nfrom auricle.m1 import Box\nresult = Box().get() + least',
    )
    assert "auricle" not in {getattr(node, "module", None) for node in ast.walk(ast.parse(text))}
    assert result(text) == 12
    assert "M1_LIMIT = 10" in text
    assert "class M1Box(Box):" in text


def test_a_word_after_a_module_of_ours_is_found():
    text = assembled("from auricle import runs\nresult = runs.json_line({'a': 1})")
    assert result(text) == '{"a": 1}\n'
    assert "runs." not in text


def test_a_word_that_a_function_binds_is_left_alone():
    text = assembled(
        "def size(x):\n    return 1",
        "from auricle.m0 import size as one\n\ndef size(x):\n    return one(x) + 1\n\n"
        "def both(size):\n"
        "    return [size for size in [size]] + [(lambda size: size)(2), *(s for s in [3] if (k := s))]\n"
        "\n\nresult = (size(0), both(1))",
    )
    assert result(text) == (2, [1, 2, 3])


def test_comments_decorators_and_docstrings_stay():
    text = assembled(
        "import functools\n\n# Why it is so.\n@functools.cache\ndef f():\n"
        "    '''Say it.'''\n    return 5  # here\n\n\nresult = f()"
    )
    assert "# Why it is so.\n@functools.cache\ndef f():\n    '''Say it.'''\n    return 5  # here\n" in text
    assert result(text) == 5


def test_what_nothing_uses_leaves_no_trace():
    program = parse_module(
        "auricle.program", "from auricle.data.folds import folds_of\nresult = folds_of('k-fold', (1, 2, 3))"
    )
    text = written(Assembly([program]), "Folds.")
    assert result(text) == (2, 3)
    assert "sklearn" not in text
    assert "Manifest" not in text


def test_a_class_and_what_it_is_made_of_come_before_their_use():
    text = assembled(
        "class A:\n    pass",
        "from auricle.m0 import A\n\nclass B(A):\n    pass\n\n\nresult = B().__class__.__mro__[1].__name__",
    )
    assert result(text) == "A"


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["result = nowhere"], "'nowhere' in line 1 leads nowhere"),
        (["def f():\n    from auricle.errors import AuricleError"], "inside a function"),
        (["import json as j\na = j", "import csv as j\nb = j"], "means both json and csv"),
        (
            ["x = 1", "x = 2\nm1_x = 3\n", "from auricle.m0 import x\nfrom auricle.m1 import x as z\ny = (x, z)"],
            "called x too|word m1_x",
        ),
    ],
)
def test_what_cannot_be_assembled_is_refused(texts, reason):
    with pytest.raises(AuricleError, match=reason):
        assembled(*texts)


def test_imports_are_grouped_and_sorted():
    text = assembled("import torch\nimport json\nfrom torch import nn, Tensor as T\na = (torch, json, nn, T)")
    assert "import json\n\nimport torch\nfrom torch import Tensor as T, nn\n" in text
    assert imports({}) == "\n"


def test_every_module_of_the_program_can_be_taken_apart():
    assert read_module("auricle.handin.program").by_name["main"].uses
