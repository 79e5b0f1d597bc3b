"""Pictures of the documents: drawn by the report's own code, and inlined so that they follow a dark page."""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import Files

from auricle.config import load_preset
from auricle.data.toy import SAMPLE_RATE_HZ, make_clip
from auricle.model.describe import describe
from auricle.report.chapters.methods import network_steps
from auricle.report.figures.dataset import sample
from auricle.report.figures.drawing import Drawing, panel
from auricle.report.figures.inline import inlined
from auricle.report.figures.networks import encoder_block, network, one_dimension
from auricle.report.figures.style import style

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "src" / "auricle" / "report" / "templates"
IMAGE = re.compile(r'(?:<p>\s*)?<img alt="([^"]*)" src="([^"]+\.svg)"[^>]*>(?:\s*</p>)?')
GROUND = re.compile("fill: #ffffff")  # of a picture that also stands elsewhere; here the page is its ground
ESC10 = {"num_classes": 10, "clip_s": 5.0}


def pictures() -> dict[str, str]:
    """Return each picture that is drawn when the site is built, name to SVG."""
    drawings: dict[str, Drawing] = {
        "one-dimension": one_dimension(),
        "encoder-block": encoder_block(load_preset("transformer-h4").encoder),
    }
    for category in ("rising", "falling"):
        drawings[category] = sample(make_clip(category, 3, 0) / 32_768, SAMPLE_RATE_HZ, category)
    for name in ("cnn", "transformer-h4"):
        preset = load_preset(name)
        drawings[name] = network(*network_steps(preset, describe(preset, **ESC10)["layers"]))
    with style():
        return {name: panel(drawing, name, "").svg for name, drawing in drawings.items()}


def inline_pictures(html: str, page: str, files: Files) -> str:
    """Replace images of our drawings by the drawings themselves, in a figure that says what it shows."""
    found = {}
    for _, source in IMAGE.findall(html):
        file = files.get_file_from_path(posixpath.normpath(posixpath.join(posixpath.dirname(page), source)))
        if file is not None and (svg := file.content_string).startswith("<svg"):
            found[source] = GROUND.sub("fill: none", svg, count=1)
    if not found:
        return html
    glyphs, drawn = inlined(found)

    def figure(image: re.Match[str]) -> str:
        if image[2] not in drawn:
            return image[0]
        svg = drawn[image[2]].replace("<svg", f'<svg role="img" aria-label="{image[1]}"', 1)
        return f'<figure class="drawn">{svg}</figure>'

    return glyphs + IMAGE.sub(figure, html)


def drawn_colours() -> str:
    """Return the report's colours, by the page's scheme and not by the system's alone."""
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    light, dark = (
        "".join(re.findall(r"--(?:ink|muted|grid|series-\d): #[0-9a-f]+;", block))
        for block in re.findall(r":root \{([^}]*)\}", css)[:2]
    )
    return f'[data-md-color-scheme="default"] {{ {light} }}\n[data-md-color-scheme="slate"] {{ {dark} }}\n'
