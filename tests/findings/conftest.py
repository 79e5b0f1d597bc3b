"""The made-up studies of the report's tests serve here too."""

from report.conftest import esc10, esc10_study, make_study

__all__ = ["esc10", "esc10_study", "make_study"]
