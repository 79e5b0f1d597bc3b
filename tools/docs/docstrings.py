"""Docstrings as Markdown: doctests and the code after a double colon become blocks of code, wherever they stand."""

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"^(>>> .*(?:\n(?!\s*$).*)*)", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Changes each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of one object, if it has one."""
        if obj.docstring is not None:
            text = re.sub(r" ?::$", "", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = DOCTEST.sub(r"```pycon\n\1\n```", text)
