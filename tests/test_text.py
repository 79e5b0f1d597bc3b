import csv
import io
import json
import os

import pytest

from auricle.text import csv_text, json_text, path_cell, quoted, unquoted, visible

HOSTILE = (
    "\x1b[2J\x1b]0;x\x07", "a\nb", "a\rb", "a\tb", "\x9b31m", "\x7f", "\u202egpj.exe", "\u2066x", "\u2028", "\ufeff",
    os.fsdecode(b"caf\xe9"), "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "'=1", "''-1", '"', "a,b", "..", "é",
)  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_visible_moves_no_cursor_and_turns_no_line(name):
    assert visible(name).isprintable()
    assert visible(visible(name)) == visible(name)


@pytest.mark.parametrize("name", ["Käuzchen", "鳥 の声", "👩\u200d🔬", "می\u200cخواهم", "a b", "\N{NO-BREAK SPACE}"])
def test_letters_of_any_script_stay_as_they_are(name):
    assert visible(name) == name


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("indent", [None, 1])
def test_json_holds_the_same_text_and_nothing_unseen(name, indent):
    text = json_text({"file": name, "others": [name]}, indent)
    assert json.loads(text) == {"file": name, "others": [name]}
    assert all(line.isprintable() for line in text.split("\n"))
    text.encode()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_cell_is_no_formula_and_is_read_back_as_the_same_text(name):
    text = csv_text([[quoted(name), path_cell(name), "last"]])
    ((cell, path, last),) = csv.reader(io.StringIO(text, newline=""))
    assert unquoted(cell) == name
    assert os.path.normpath(path) == os.path.normpath(name)
    assert last == "last"
    assert not any(each.startswith(("=", "+", "-", "@", "\t", "\r")) for each in (cell, path))
