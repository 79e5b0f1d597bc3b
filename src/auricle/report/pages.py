"""Templates of this room, filled in with values that are escaped."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from auricle.report.wording import confidence, spoken, visible


def page(name: str, values: Mapping[str, Any]) -> str:
    """Return an HTML page of report/templates; every value is escaped but what is markup already."""
    return page_environment().get_template(name).render(values)


def page_environment(folder: str = "templates", **options: Any) -> Environment:
    """Return what templates of a folder of this room are filled in with; every name is escaped."""
    environment = Environment(
        loader=PackageLoader("auricle.report", folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
    environment.filters |= {"confidence": confidence, "spoken": spoken, "visible": visible}
    return environment


def template(name: str) -> str:
    """Return a page, a style sheet or a script of report/templates."""
    return resources.files("auricle.report").joinpath("templates", name).read_text(encoding="utf-8")
