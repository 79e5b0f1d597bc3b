"""Variants that a field of the configuration chooses from.

    OPTIMIZERS = Variants("training.optimizer")

    @OPTIMIZERS.of("adam")
    def build_adam(...)

    OPTIMIZERS[config.optimizer](...)

The variants of a table stand in its module. A program that is handed in copies those that its study chooses, and no
others (`handin.assemble`).
"""

from collections.abc import Callable
from typing import Any, TypeVar

Variant = TypeVar("Variant", bound=Callable[..., Any])


class Variants(dict[Any, Callable[..., Any]]):
    """The functions or classes that a field chooses from, by its value; a section, by its fields that are on."""

    def __init__(self, field: str) -> None:
        super().__init__()
        self.field = field

    def of(self, *values: Any) -> Callable[[Variant], Variant]:
        """Register what follows as the variant of these values."""

        def register(variant: Variant) -> Variant:
            self.update(dict.fromkeys(values, variant))
            return variant

        return register
