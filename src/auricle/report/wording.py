"""Text of the report: pieces of sentences, and formatted numbers and names.

A text is a tuple of pieces. Names from the data are always plain strings in it, never markup: the templates
escape them, for HTML and for Typst.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from auricle.errors import count as count
from auricle.errors import listing as listing
from auricle.text import visible as visible

MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Strong:
    """Bold text."""

    text: str


@dataclass(frozen=True)
class Code:
    """Text to be typed, such as a command."""

    text: str


@dataclass(frozen=True)
class Ref:
    """A link to the figure, table or section of this name; displayed as "Figure 3"."""

    target: str


@dataclass(frozen=True)
class Beside:
    """A file in the folder of the report; in HTML a link to it."""

    text: str


Piece = str | Strong | Code | Ref | Beside
Text = tuple[Piece, ...]


def shortened(name: str, length: int, head: int | None = None) -> str:
    """Cut a long name in its middle, or after its first `head` letters.

    >>> shortened("crackling_fire_at_night", 11)
    'crack…night'
    """
    if len(name) <= length:
        return name
    head = length // 2 if head is None else head
    return f"{name[:head]}…{name[len(name) - (length - 1 - head) :]}"


def spoken(category: str, length: int = 48) -> str:
    """Return a category as a person reads it: not too long, visible, `_` as a space.

    >>> spoken("crying_baby")
    'crying baby'
    """
    return shortened(visible(category).replace("_", " "), length)


def clip_name(clip: str) -> str:
    """Return the name of a clip as a person reads it: visible and short."""
    return shortened(visible(clip), 40)


def decimal(number: float | None, digits: int) -> str:
    """Write a number with a fixed number of digits after the point; an unknown one is a dash.

    >>> decimal(-0.5, 2), decimal(None, 1), decimal(12345.6, 0), decimal(-0.001, 2)
    ('−0.50', '–', '12,346', '0.00')
    """
    return "–" if number is None else f"{number:z,.{digits}f}".replace("-", MINUS)


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share as a percentage.

    >>> percent(0.8444).replace(NO_BREAK, " ")
    '84.4 %'
    """
    return f"{decimal(None if share is None else 100 * share, digits)}{NO_BREAK}%"


def confidence(share: float) -> str:
    """Write a probability; values near 0 and 1 are never rounded to 0 % or 100 %.

    >>> confidence(0.973), confidence(0.004), confidence(0.9991)
    ('97 %', '<1 %', '>99 %')
    """
    if 0.01 <= share <= 0.99:
        return f"{100 * share:.0f} %"
    return "<1 %" if share < 0.01 else ">99 %"


def points(difference: float) -> str:
    """Write a difference of two shares in percentage points.

    >>> points(0.05)
    '5.0 points'
    """
    return f"{decimal(100 * difference, 1)} points"


def signed(number: float) -> str:
    """Write a number with its sign.

    >>> signed(1.26), signed(-3.0), signed(0.01)
    ('+1.3', '−3.0', '0.0')
    """
    return f"{'+' if round(number, 1) > 0 else ''}{decimal(number, 1)}"


def probability(p: float) -> str:
    """Write a p-value.

    >>> probability(0.321), probability(0.0321), probability(0.004), probability(2e-7)
    ('0.32', '0.032', '0.004', '< 0.001')
    """
    if p < 0.001:
        return "< 0.001"
    return f"{p:.2f}" if p >= 0.1 else f"{p:.3f}"


def span(first: int, last: int) -> str:
    """Write a range of whole numbers.

    >>> span(2, 4), span(3, 3)
    ('2–4', '3')
    """
    return f"{first}" if first == last else f"{first}–{last}"


def anchors(names: Iterable[str]) -> dict[str, str]:
    """Give each name a unique one of letters, digits and hyphens, for files and links.

    >>> anchors(["x-3", "x", "x."])
    {'x-3': 'x-3', 'x': 'x', 'x.': 'x-3-3'}
    """
    anchor_of: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        anchor = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or f"{number}"
        while anchor in anchor_of.values():
            anchor += f"-{number}"
        anchor_of[name] = anchor
    return anchor_of


def protocol_title(protocol: str, *, leaky: bool) -> str:
    """Return the name of a protocol, marked where it leaks.

    >>> protocol_title("random", leaky=True)
    'random (leaky)'
    """
    return f"{protocol} (leaky)" if leaky else protocol
