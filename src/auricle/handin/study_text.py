"""The parts of a hand-in that depend on the study: the configuration as YAML, and the reader of its recordings."""

import json
from collections.abc import Mapping
from statistics import mode
from typing import Any

import yaml

from auricle.config import Preset, Section
from auricle.data.datasets import SOURCES
from auricle.findings.study import Study
from auricle.runs import StudyFolder

# A separate short reader: that of `data.tables` has a hundred lines more, mostly error messages.
_ESC50 = '''"""The recordings: {about}."""
import csv
from pathlib import Path

from auricle.data.manifest import Clip


def read_clips(folder: Path) -> list[Clip]:
    """Read the table of clips from a folder in ESC-50's layout: meta/esc50.csv and audio/, in any format."""
    audio = folder / "audio"
    files = {{path.stem: path for path in audio.iterdir()}}
    with (folder / "meta" / "esc50.csv").open(newline="", encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table){only_esc10}]
    paths = [files.get(Path(row["filename"]).stem, audio / row["filename"]) for row in rows]
    return [
        Clip(path, row["filename"], row["category"], int(row["fold"]), row["src_file"])
        for path, row in zip(paths, rows, strict=True)
    ]
'''

_ONLY_ESC10 = ' if row["esc10"] == "True"'

_TOY = '''"""The recordings: ten classes of synthetic sound, written to the folder `--data` if it has none."""
from pathlib import Path

from auricle.data.manifest import Clip
from auricle.data.tables import ESC50_TABLE, esc50_clips
from auricle.data.toy import write_toy


def read_clips(folder: Path) -> list[Clip]:
    """Read the table of clips; write the sounds first if the folder has none."""
    if not (folder / ESC50_TABLE).is_file():
        write_toy(folder)
    return esc50_clips(folder)
'''

_URBANSOUND8K = '''"""The recordings: UrbanSound8K."""
from pathlib import Path

from auricle.data.manifest import Clip
from auricle.data.tables import urbansound8k_clips


def read_clips(folder: Path) -> list[Clip]:
    """Read the table of clips from UrbanSound8K's folder: metadata/UrbanSound8K.csv and audio/."""
    return urbansound8k_clips(folder)
'''

_OWN = '''"""The recordings: the table of clips of this study, with its folds."""
import csv
import io
from pathlib import Path

from auricle.data.manifest import Clip
from auricle.data.tables import find_recording

CLIPS = """\\
{table}"""


def read_clips(folder: Path) -> list[Clip]:
    """Read the table above; file names are relative to the folder."""
    rows = csv.DictReader(io.StringIO(CLIPS))
    return [
        Clip(_path_of(folder, row["clip"]), row["clip"], row["category"], int(row["fold"]), row["group"])
        for row in rows
    ]


def _path_of(folder: Path, name: str) -> Path:
    """Return the path of a recording: in the folder, in `audio` below it, or in UrbanSound8K's `audio/fold1`, ..."""
    folders = (folder, folder / "audio", *sorted(folder.glob("audio/fold*")))
    paths = (find_recording(each, name) for each in folders)
    return next((path for path in paths if path.exists()), folder / name)
'''

_CONFIGURATION = '''"""The configuration; a model that extends another lists only the differences."""
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from auricle.config.reading import merge

CONFIGURATION = """\
{yaml}"""

class Preset(SimpleNamespace):
    """A section of the configuration; `dict(section)` gives its fields."""

    @classmethod
    def model_validate(cls, content: Any) -> Any:
        """Return sections for mappings at any depth."""
        if isinstance(content, list):
            return [cls.model_validate(value) for value in content]
        if isinstance(content, Mapping):
            return cls(**{{name: cls.model_validate(value) for name, value in content.items()}})
        return content

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(vars(self).items())

AudioConfig = FrontendConfig = BaseConfig = EncoderConfig = HeadConfig = TrainingConfig = AugmentationConfig = Preset
Axis = str
'''

COMMAND_LINE = '''"""The command line."""
import sys

from auricle.handin.program import main
from auricle.data.this_study import read_clips
from auricle.config import CONFIGURATION

if __name__ == "__main__":
    sys.exit(main(CONFIGURATION, read_clips))
'''


def configuration_text(study: Study) -> str:
    """Return the section of the configuration."""
    text = yaml.dump(
        configuration(study), Dumper=_Lines, default_flow_style=None, sort_keys=False, allow_unicode=True, width=100
    )
    return _CONFIGURATION.format(yaml=literal(text))


def recordings_text(study: Study) -> str:
    """Return the section that finds the recordings; the user's own, or regrouped ones, come with their table."""
    source, named = study.dataset.source, study.config.group_by is None and study.config.label is None
    if named and source == "toy":
        return _TOY
    if named and source == "urbansound8k":
        return _URBANSOUND8K
    if named and source in ("esc10", "esc50"):
        return _ESC50.format(about=SOURCES[source], only_esc10=_ONLY_ESC10 if source == "esc10" else "")
    table = StudyFolder(study.folder).manifest.read_bytes().decode("utf-8", "surrogatepass")
    return _OWN.format(table=literal(table.replace("\r\n", "\n")))


def configuration(study: Study) -> dict[str, Any]:
    """Return the study as the mapping that `program.main` reads."""
    return {
        "name": study.config.name,
        "clip_s": study.dataset.clip_s,
        "skipped": [name for name, _ in study.dataset.skipped],
        "not_scored": next((name for name in study.dataset.categories if name not in study.dataset.scored), None),
        "protocols": list(study.config.protocols),
        "only": {model: list(protocols) for model, protocols in study.config.only.items()},
        "seeds": list(study.config.seeds),
        "threads": mode(cell.costs.get("threads", 1) for cell in study.cells),
        "device": mode(cell.costs.get("device", "cpu") for cell in study.cells),
        "models": models(study.presets),
    }


def models(presets: Mapping[str, Preset]) -> dict[str, dict[str, Any]]:
    """Spell presets out; each as what differs from the one before it that it is most like, or whole.

    >>> from auricle.config import load_preset
    >>> spelt = models({name: load_preset(name) for name in ("transformer-h1", "transformer-h2")})
    >>> spelt["transformer-h2"]
    {'extends': 'transformer-h1', 'encoder': {'num_heads': 2}}
    """
    spelt: dict[str, dict[str, Any]] = {}
    for name, preset in presets.items():
        candidates = [_spelt(preset, None)]
        candidates += [{"extends": other, **_spelt(preset, presets[other])} for other in spelt]
        spelt[name] = min(candidates, key=lambda content: len(json.dumps(content)))
    return spelt


def _spelt(section: Section, other: Section | None) -> dict[str, Any]:
    """Return the fields in which a section differs from another; names and descriptions left out.

    Without another section, all fields; of blocks, those that differ from the default, as in `model.cnn.Block`.
    """
    changes: dict[str, Any] = {}
    for field, now in section:
        then = getattr(other, field, ...)
        if now == then or field in ("name", "about"):
            continue
        if isinstance(now, Section):
            changes[field] = _spelt(now, then if isinstance(then, Section) else None)
        else:
            blocks = field == "blocks"
            changes[field] = section.model_dump(mode="json", include={field}, exclude_defaults=blocks)[field]
    return changes


class _Lines(yaml.SafeDumper):
    """YAML with a mapping on one line if it contains only values and lists of values."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        """Return a mapping, on one line if it contains no other mapping."""
        node = super().represent_mapping(tag, mapping, flow_style)
        lists = [value for _, value in node.value if not isinstance(value, yaml.ScalarNode)]
        node.flow_style = all(isinstance(value, yaml.SequenceNode) and value.flow_style for value in lists)
        return node


def literal(text: str) -> str:
    r"""Return a text escaped for triple quotes in Python.

    >>> literal('a "quoted" name' + chr(13))
    'a \\"quoted\\" name\\r'
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(
        mark if mark.isprintable() or mark == "\n" else mark.encode("unicode_escape").decode() for mark in escaped
    )
