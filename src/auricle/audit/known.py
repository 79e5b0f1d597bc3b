"""Results of the check, kept in the cache: a stopped check resumes, and a repeated one decodes only new files.

    CACHE/checked/VERSION.sqlite   one row per file that decodes: key, hash of the content, content

The key is a hash of a file's bytes and its name; the version is a hash of the code that decodes and examines, and of
its libraries. So neither an edited file nor another version of auricle leads to a stale result.
"""

import contextlib
import json
import os
import sqlite3
import time
from dataclasses import asdict, replace
from functools import cache
from hashlib import file_digest, sha256
from pathlib import Path

import numpy as np
import soundfile
import soxr

from auricle import files
from auricle.audit.finding_types import Finding
from auricle.audit.fingerprint import Fingerprint
from auricle.audit.meter import Measures
from auricle.audit.recording import Examined, examine
from auricle.data.audio import open_recording
from auricle.data.decoders import media_version
from auricle.data.store import cache_folder
from auricle.errors import RefusedError

WAIT_S = 10.0  # for another process that writes
KEPT_S = 30 * files.DAY_S  # since a result of another version was last added
_WORD = np.dtype([("word", "<u4"), ("weakest", "u1"), ("reliable", "?")])


def examine_once(path: Path) -> Examined:
    """Return `examine(path)`, from the cache if a file of these bytes and this name was examined before.

    Refusals are not kept: some are the machine's, and damaged files are few. A cache that fails is not used.
    """
    key = ""
    with contextlib.suppress(sqlite3.Error, OSError, RefusedError, ValueError, TypeError):
        results = _results(cache_folder() / "checked" / f"{_version()}.sqlite")
        key = _key(path)
        found = results.execute("SELECT hash, content FROM results WHERE key = ?", (key,)).fetchone()
        if found and files.digest(found[1]) == found[0]:
            return _unpacked(found[1])
    examined = examine(path)
    if key and examined.measures:
        content = _packed(examined)
        with contextlib.suppress(sqlite3.Error, OSError), results:
            results.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", (key, files.digest(content), content))
    return examined


def _key(path: Path) -> str:
    with open_recording(path) as file:
        return files.digest(file_digest(file, "sha256").digest() + os.fsencode(path.name))


@cache
def _results(path: Path) -> sqlite3.Connection:
    """Open the database of a version, once in a process: it takes as long as to examine a second of sound."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        for other in path.parent.glob("*.sqlite*"):  # with their journals
            if other.stat().st_mtime < time.time() - KEPT_S:
                other.unlink(missing_ok=True)
    connection = sqlite3.connect(path, timeout=WAIT_S)
    connection.execute("PRAGMA synchronous = OFF")  # a row that a power failure damages does not match its hash
    connection.execute("PRAGMA journal_mode = TRUNCATE")  # cheaper than to delete the journal after every row
    connection.execute("CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, hash TEXT, content BLOB)")
    return connection


@cache
def _version() -> str:
    rooms = (Path(__file__).parent, Path(__file__).parents[1] / "data")
    code = sha256(f"{soundfile.__libsndfile_version__} {soxr.__version__} {media_version()}".encode())
    for source in sorted(source for room in rooms for source in room.glob("*.py")):
        code.update(source.read_bytes())
    return code.hexdigest()[:16]


def _packed(examined: Examined) -> bytes:
    """Return a line of JSON, and the words of the fingerprint."""
    header = {**asdict(replace(examined, fingerprint=None)), "has_fingerprint": examined.fingerprint is not None}
    words = np.empty(0, _WORD)
    if sound := examined.fingerprint:
        words = np.empty(len(sound.words), _WORD)
        words["word"], words["weakest"], words["reliable"] = sound.words, sound.weakest, sound.reliable
    return json.dumps(header).encode() + b"\n" + words.tobytes()


def _unpacked(content: bytes) -> Examined:
    line, _, rest = content.partition(b"\n")
    header = json.loads(line)
    words = np.frombuffer(rest, _WORD)
    sound = Fingerprint(words["word"], words["weakest"], words["reliable"]) if header.pop("has_fingerprint") else None
    problems = tuple(Finding(**{**problem, "clips": tuple(problem["clips"])}) for problem in header.pop("problems"))
    measures = header.pop("measures")
    measures = Measures(**{**measures, "channel_levels": tuple(measures["channel_levels"])})
    return Examined(**{**header, "problems": problems, "measures": measures, "fingerprint": sound})
