"""Templates of this room, filled in with values that are escaped."""

from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket

from auricle.report.wording import confidence, spoken, visible


class _InMemory(BytecodeCache):
    """Keeps the code of templates, so that a process compiles each once: an environment is made for every chapter."""

    def __init__(self) -> None:
        self.codes: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a template the code that it was compiled to before, if it was."""
        if code := self.codes.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Store the compiled code of a template."""
        self.codes[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _InMemory()


def page(name: str, values: Mapping[str, Any]) -> str:
    """Return an HTML page of report/templates; every value is escaped unless it is markup already."""
    return page_environment().get_template(name).render(values)


def page_environment(folder: str = "templates", **options: Any) -> Environment:
    """Return the environment for the templates of a folder; every value is escaped."""
    environment = Environment(
        loader=PackageLoader("auricle.report", folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_COMPILED,
        **options,
    )
    environment.filters |= {"confidence": confidence, "spoken": spoken, "visible": visible}
    return environment


def template(name: str) -> str:
    """Return a page, a style sheet or a script of report/templates."""
    return resources.files("auricle.report").joinpath("templates", name).read_text(encoding="utf-8")
