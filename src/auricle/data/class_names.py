"""Class names that differ only in spelling."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence


def plain(category: str) -> str:
    """Return a class name without case, accents and separators.

    >>> plain("Crying Bébé") == plain("crying_bebe")
    True
    """
    letters = unicodedata.normalize("NFKD", category.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter) and letter not in " _-.")


def spellings(counts: Mapping[str, int]) -> list[tuple[str, ...]]:
    """Return the names that differ only in case, accents and separators, the most frequent first."""
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for category in counts:
        alike[plain(category)].append(category)
    order = {category: (-num, category) for category, num in counts.items()}
    return [tuple(sorted(names, key=order.__getitem__)) for names in alike.values() if len(names) > 1]


def named_spellings(names: Sequence[str]) -> str:
    r"""Return spellings for a message; with escapes if they look alike.

    >>> print(named_spellings(["Dog", "dog"]), named_spellings(["caf\u00e9", "cafe\u0301"]))
    'Dog' and 'dog' 'caf\xe9' and 'cafe\u0301'
    """
    alike = len({unicodedata.normalize("NFC", name) for name in names}) < len(names)
    return " and ".join(map(ascii if alike else repr, names))
