"""A notebook as a page: its Markdown as it is, its code, and what the code printed, showed and drew."""

import json
from pathlib import Path
from typing import Any

Output = dict[str, Any]


def notebook_page(path: Path) -> str:
    """Return a notebook with its stored outputs as Markdown."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif source.strip():
            parts.append(f"```python\n{source}\n```")
            parts += [shown for output in cell["outputs"] if (shown := _shown(output))]
        if cell is notebook["cells"][0]:  # under the title
            parts.append(f"[Download this notebook]({path.name}){{ .md-button }}")
    return "\n\n".join(parts) + "\n"


def _shown(output: Output) -> str:
    """Return one output, the richest form of it that a page can show."""
    if output["output_type"] == "stream":
        return _block("".join(output["text"]))
    data = {kind: "".join(text) if isinstance(text, list) else text for kind, text in output.get("data", {}).items()}
    if "image/svg+xml" in data:
        return f'<div class="output">{_one_line(data["image/svg+xml"])}</div>'
    if "image/png" in data:
        address = f"data:image/png;base64,{data['image/png'].strip()}"
        return f'<div class="output"><img alt="{_alt(data)}" src="{address}"></div>'
    if "text/html" in data:
        return f'<div class="output">{_one_line(data["text/html"])}</div>'
    return _block(data.get("text/plain", ""))


def _alt(data: Output) -> str:
    return data.get("text/plain", "figure").strip("<>").partition(" ")[0]


def _block(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""


def _one_line(html: str) -> str:
    """Return HTML without blank lines, at which Markdown would take it for ended, and fixed for screen readers."""
    html = html.replace("<th></th>", "<td></td>").replace("<pre ", '<pre tabindex="0" ')
    return "".join(line.strip() + "\n" for line in html.splitlines() if line.strip())
