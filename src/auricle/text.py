"""Untrusted text (names of files and classes, responses of servers), made safe for where it is shown.

A terminal obeys escape sequences, a spreadsheet evaluates formulas, and bidirectional marks reverse a line.
"""

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode categories of invisible characters and those that reverse a line
JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # needed by emoji and some scripts
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # starts of cells that a spreadsheet evaluates, and the same already quoted


def visible(text: str) -> str:
    r"""Escape invisible characters and those that reverse a line: controls, line ends, bidi marks, undecodable bytes.

    >>> visible("dog" + chr(10) + "bark" + chr(27) + "[2J")
    'dog\\nbark\\x1b[2J'
    """
    return "".join(mark.encode("unicode_escape").decode() if is_unseen(mark) else mark for mark in text)


def is_unseen(mark: str) -> bool:
    """Return whether a character is invisible, or reverses the line."""
    return mark not in JOINERS and unicodedata.category(mark) in UNSEEN


def short_line(text: str) -> str:
    """Return text from a file for use in a message: on one line, and of limited length."""
    return " ".join(text.split())[:300]


def not_finite(value: Any, name: str = "") -> str:
    """Return the name and value of the first number in JSON content that is NaN or infinite; empty if there is none.

    >>> not_finite({"epoch": 2, "test": {"loss": float("inf")}}), not_finite([0.5])
    ('test.loss is inf', '')
    """
    if isinstance(value, Mapping):
        found = (not_finite(each, f"{name}.{key}".lstrip(".")) for key, each in value.items())
        return next(filter(None, found), "")
    if isinstance(value, list | tuple):
        return next(filter(None, (not_finite(each, name) for each in value)), "")
    return f"{name or 'a value'} is {value}" if isinstance(value, float) and not math.isfinite(value) else ""


def json_text(value: Any, indent: int | None = None) -> str:
    r"""Return JSON in which letters are kept as they are and the characters that `visible` escapes are escaped.

    A program that reads it gets the same text back; bytes of a file name that are not UTF-8 become lone surrogates, as
    `os.fsencode` takes them.

    >>> json_text({"file": "Käuzchen" + chr(155)})
    '{"file": "Käuzchen\\u009b"}'
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    return "".join(json.dumps(mark)[1:-1] if mark != "\n" and is_unseen(mark) else mark for mark in text)


def quoted(cell: str) -> str:
    """Put a `'` before text that a spreadsheet would evaluate as a formula; `unquoted` removes it.

    >>> quoted("=1+1"), quoted("dog"), unquoted(quoted("'=1+1"))
    ("'=1+1", 'dog', "'=1+1")
    """
    return f"'{cell}" if FORMULA.match(cell) else cell


def unquoted(cell: str) -> str:
    """Return the text of a cell that `quoted` made."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def path_cell(path: str) -> str:
    """Return an equivalent path that no spreadsheet evaluates as a formula and that does not start with a blank.

    >>> path_cell("-1.wav"), path_cell("night/1.wav")
    ('./-1.wav', 'night/1.wav')
    """
    return f"./{path}" if FORMULA.match(path) or path[:1].isspace() else path


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    r"""Return rows as CSV; cells with a comma, a quote or an end of line, even a bare carriage return, are quoted.

    >>> csv_text([("a", 1, None), ("b,c", "d" + chr(13), 0.5)])
    'a,1,\n"b,c","d\r",0.5\n'
    """
    return "".join(",".join("" if cell is None else _cell(str(cell)) for cell in row) + "\n" for row in rows)


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if re.search('[",\r\n]', text) else text


def one_line(text: str) -> str:
    """Replace tabs and ends of line by blanks, for tables that do not quote cells."""
    return re.sub(r"[^\S ]", " ", text)
