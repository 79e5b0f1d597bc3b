"""What a field of the configuration chooses from, each variant registered where it is defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Variant = TypeVar("Variant", bound=Callable[..., Any])


class Variants(dict[Any, Callable[..., Any]]):
    """The functions or classes that a field of the configuration chooses from, by its value.

    A program that is handed in copies the variants that its study chooses, and no others (`handin.assemble`).

    Args:
        field: dotted, such as `training.optimizer`; of a section (`augmentation`), a value is the name of a field that
            is not off.

    >>> doubled = Variants("example.kind").of("double")(lambda x: 2 * x)
    """

    def __init__(self, field: str) -> None:
        super().__init__()
        self.field = field

    def of(self, *values: Any) -> Callable[[Variant], Variant]:
        """Register what follows as the variant of these values."""

        def register(variant: Variant) -> Variant:
            self.update(dict.fromkeys(values, variant))
            return variant

        return register
