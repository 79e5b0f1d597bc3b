"""Class names that differ only in spelling."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence

from auricle.errors import count, listing

_ACCENT = 200  # lowest combining class of accents; below are vowels, tones and voicing marks, which make another word


def plain(category: str) -> str:
    """Return a class name without case, accents and separators; one of separators only stays as it is.

    >>> plain("Crying Bébé") == plain("crying_bebe"), plain("か") == plain("が")
    (True, False)
    """
    letters = unicodedata.normalize("NFKD", category.casefold())
    kept = (letter for letter in letters if unicodedata.combining(letter) < _ACCENT and letter not in " _-.")
    return "".join(kept) or letters


def spellings(counts: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Return the names that differ only in case, accents and separators, the most frequent first."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for category in counts:
        alike[plain(category)].append(category)
    order = {category: (-num, category) for category, num in counts.items()}
    return [tuple(sorted(names, key=order.__getitem__)) for names in alike.values() if len(names) > 1]


def spellings_note(names: Sequence[str], counts: Mapping[str, int]) -> str:
    r"""Say that spellings are different classes, with clips per class; with escapes if they look alike.

    >>> print(spellings_note(["Dog", "dog"], {"Dog": 9, "dog": 1}))
    'Dog' (9 clips) and 'dog' (1 clip) are used as different classes
    >>> print(spellings_note(["caf\u00e9", "cafe\u0301"], {"caf\u00e9": 2, "cafe\u0301": 2}))
    'caf\xe9' (2 clips) and 'cafe\u0301' (2 clips) are used as different classes
    """
    alike = len({unicodedata.normalize("NFC", name) for name in names}) < len(names)
    shown = ascii if alike else repr
    named = listing(f"{shown(name)} ({count(counts[name], 'clip')})" for name in names)
    return f"{named} are used as different classes"
