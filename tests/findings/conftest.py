"""The made-up studies of the room `report`."""

from report.conftest import esc10, esc10_study, make_study

__all__ = ["esc10", "esc10_study", "make_study"]
