"""Rows as a pandas DataFrame; pandas is imported only when one is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auricle.extras import extras_named

if TYPE_CHECKING:
    import pandas as pd


def to_frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a DataFrame with one row per mapping; `columns` are the columns that it has even without rows.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    with extras_named():
        import pandas as pd
    return pd.DataFrame(list(rows), columns=None if columns is None else list(columns))
