"""Registries of the functions or classes that a field of the configuration chooses from.

    OPTIMIZERS = Variants("training.optimizer")

    @OPTIMIZERS.of("adam")
    def build_adam(...)

    OPTIMIZERS[config.optimizer](...)

The variants of a registry are in the same module as it. The program of a hand-in copies only those that its study uses
(`handin.assemble`).
"""

from collections.abc import Callable
from typing import Any, TypeVar

Variant = TypeVar("Variant", bound=Callable[..., Any])


class Variants(dict[Any, Callable[..., Any]]):
    """The functions or classes that a field chooses from, by its value; or the parts of a section, by their fields."""

    def __init__(self, field: str) -> None:
        super().__init__()
        self.field = field

    def of(self, *values: Any) -> Callable[[Variant], Variant]:
        """Register the decorated function or class as the variant for these values."""

        def register(variant: Variant) -> Variant:
            self.update(dict.fromkeys(values, variant))
            return variant

        return register
