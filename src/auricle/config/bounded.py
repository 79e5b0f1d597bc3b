"""YAML of modest size and depth, from whoever: what would break or flood the reader is refused in one line."""

import re
from pathlib import Path
from typing import Any

import yaml

MAX_YAML_BYTES = 2**16  # the longest of ours has 8,115; a parser in Python needs up to half a second for so many
MAX_YAML_VALUES = 20_000
MAX_YAML_DEPTH = 40
# What PyYAML raises for what is no YAML, such as `!!bool x`, `2024-99-99` or a thousand brackets
_ERRORS = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


def read_bounded(path: Path) -> str:
    """Read no more of a file than a configuration may have, and a byte; a `ValueError` where it is not UTF-8."""
    with path.open("rb") as file:
        return file.read(MAX_YAML_BYTES + 1).decode()


def load_yaml(text: str) -> Any:
    """Read YAML, an alias as often as it is used; a `ValueError` says in one line why it is not such YAML."""
    if len(text) > MAX_YAML_BYTES:
        raise ValueError(f"longer than {MAX_YAML_BYTES} characters")
    try:
        content = yaml.safe_load(text)
    except _ERRORS as error:
        raise ValueError(shown(str(error)) or type(error).__name__) from error
    pending, num_values = [(content, 0)], 0
    while pending:
        value, depth = pending.pop()
        num_values += 1
        if num_values + len(pending) > MAX_YAML_VALUES or depth > MAX_YAML_DEPTH:
            raise ValueError(f"more than {MAX_YAML_VALUES} values, or nested deeper than {MAX_YAML_DEPTH}")
        if isinstance(value, str) and re.search("[\ud800-\udfff]", value):
            raise ValueError("a text that is no Unicode (half a surrogate pair)")
        inside = (*value.keys(), *value.values()) if isinstance(value, dict) else value
        if isinstance(inside, list | tuple | set):
            pending += [(part, depth + 1) for part in inside]
    return content


def shown(words: str) -> str:
    """Return words from a file as a message may hold them: on one line, and not without end."""
    return " ".join(words.split())[:300]
