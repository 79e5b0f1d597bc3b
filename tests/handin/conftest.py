"""The made-up studies of the room `report`."""

import importlib.util
import sys
from pathlib import Path

_FILE = Path(__file__).parents[1] / "report" / "conftest.py"
_spec = importlib.util.spec_from_file_location("made_studies", _FILE)
assert _spec is not None
assert _spec.loader is not None
made_studies = sys.modules.setdefault("made_studies", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(made_studies)
make_study, esc10_study = made_studies.make_study, made_studies.esc10_study
