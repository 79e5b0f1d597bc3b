"""What mkdocs does besides: pages made from the code, pictures in the report's colours, files outside docs/.

Pages link to README.md and its neighbours as they are in the repository, `../RESULTS.md`; the site has a copy.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "src")]

from notebooks import notebook_page  # noqa: E402
from pictures import drawn_colours, inline_pictures, pictures  # noqa: E402
from reference import reference_pages  # noqa: E402

ROOT = HERE.parents[1]
FROM_ROOT = {"RESULTS.md": "results.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
LINK = re.compile(r"(\]\()(?:\.\./)+(" + "|".join(map(re.escape, FROM_ROOT)) + r")(?=[)#])")


def on_files(files: Files, config: Mapping[str, Any]) -> Files:
    """Add what is made, not written."""
    for path, text in reference_pages().items():
        files.append(File.generated(config, path, content=text))
    for name, path in FROM_ROOT.items():
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, path, content=text))
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=notebook_page(path)))
    files.append(File.generated(config, "decisions/index.md", content=decisions_page()))
    for name, svg in pictures().items():
        files.append(File.generated(config, f"pictures/{name}.svg", content=svg))
    files.append(File.generated(config, "assets/colours.css", content=drawn_colours()))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links to files beside docs/ lead to their copies."""
    up = "../" * page.file.src_uri.count("/")
    return LINK.sub(lambda link: f"{link[1]}{up}{FROM_ROOT[link[2]]}", markdown)


def on_page_content(html: str, page: Page, files: Files, **_: Any) -> str:
    """Put drawings into the page, where they take its colours."""
    return inline_pictures(html, page.file.src_uri, files)


def on_post_page(output: str, **_: Any) -> str:
    """Name the search, as the theme does not, for screen readers."""
    return output.replace(
        'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
    )


def decisions_page() -> str:
    """Return the list of all decisions, by title."""
    titles = {
        path.name: path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        for path in (ROOT / "docs" / "decisions").glob("*.md")
    }
    rows = [f"- [{title}]({name})" for name, title in sorted(titles.items(), key=lambda item: item[1].lower())]
    return "\n".join(
        ["# Decisions\n", "What was decided, why, and what was measured for it; a page each.\n", *rows, ""]
    )
