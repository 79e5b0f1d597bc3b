"""Variants that a field of the configuration chooses from.

    OPTIMIZERS = Variants("training.optimizer")

    @OPTIMIZERS.of("adam")
    def build_adam(...)

They stand in the module of their table. A program that is handed in copies those that its study chooses, and no others.
"""

from collections.abc import Callable
from typing import Any, TypeVar

Variant = TypeVar("Variant", bound=Callable[..., Any])


class Variants(dict[Any, Callable[..., Any]]):
    """The functions or classes that a field of the configuration chooses from, by its value.

    Of a section, `augmentation`, the values are the names of fields that are on.
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
