import sys
from pathlib import Path

from study_fixtures import cache, config, fakes, recorder, run, sounds

sys.path.insert(0, str(Path(__file__).parent))  # for the stand-ins of W&B

__all__ = ["cache", "config", "fakes", "recorder", "run", "sounds"]
