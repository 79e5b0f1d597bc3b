"""The model card: what a bundle is, what it was trained on, how good it is and what it cannot do."""

from collections.abc import Mapping
from importlib import resources

from auricle.bundle.description import Description
from auricle.scoring.calibration import KEPT

LICENCES = {
    "esc10": "ESC-10 (K. J. Piczak, 2015), Creative Commons Attribution; each clip's author stands in the dataset",
    "esc50": "ESC-50 (K. J. Piczak, 2015), Creative Commons Attribution-NonCommercial 3.0",
    "urbansound8k": "UrbanSound8K (J. Salamon, C. Jacoby, J. P. Bello, 2014), Creative Commons "
    "Attribution-NonCommercial",
    "toy": "synthetic sounds that auricle makes from a seed; free of rights",
}
ESCAPED = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]#|"} | {"<": "&lt;", ">": "&gt;"})


def card(description: Description, sizes: Mapping[str, int], *, has_encoder: bool) -> str:
    """Return README.md of a bundle, from templates/card.md.j2; no name in it becomes Markdown or HTML."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True)
    environment.filters["plain"] = lambda name: name.translate(ESCAPED)
    environment.filters["percent"] = lambda share, digits=1: f"{100 * share:.{digits}f} %"
    environment.filters["megabytes"] = lambda num_bytes: f"{num_bytes / 1e6:.2f} MB"
    template = resources.files("auricle.bundle").joinpath("templates", "card.md.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(about=description, sizes=sizes, has_encoder=has_encoder, kept=KEPT)
