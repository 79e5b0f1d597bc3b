"""When a recording began: from AudioMoth's comment in it, else from its name.

Most recorders name files by the local time of a clock that was set by hand, so a time is local unless the file has an
offset from UTC.
"""

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

_YEARS = range(1970, 2100)
_FIRST_AUDIOMOTH = datetime(2017, 1, 1, tzinfo=UTC)
_HEX_NAME = re.compile(r"(?=.*[A-F])[0-9A-F]{8}")  # digits alone are a date or a number
_COMMENT_SUFFIXES = (".wav", ".wave", ".rf64", ".flac")
_COMMENT = re.compile(
    r"Recorded at (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d+))? "
    r"(?P<day>\d\d)/(?P<month>\d\d)/(?P<year>\d{4})(?: \((?P<zone>UTC(?:[+-]\d\d?(?::\d\d)?)?)\))? "
    r"(?:by AudioMoth|during deployment)"
)
# AudioMoth 20240131_235930T, Song Meter SITE_0_20240131$235930, Frontier Labs 20240131T235930.12+1000_REC,
# SwiftOne S1_20240131_235930_-0500, Avisoft T2024-01-31_23-59-30_0000123
_NAME = re.compile(
    r"(?<!\d)(?P<year>\d{4})(?P<dash>-?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)[ _T$-]?"
    r"(?P<hour>\d\d)(?P<mark>[-:]?)(?P<minute>\d\d)(?P=mark)(?P<second>\d\d)(?:\.(?P<fraction>\d+))?"
    r"(?:_?(?P<zone>Z|[+-](?:0\d|1[0-4]):?(?:00|30|45)|\+(?:0\d|1[0-4])))?(?!\d)"
)


def clock_of(path: Path) -> datetime | None:
    """Return when a recording began: with an offset from UTC if the file has one, else local; None if unknown.

    AudioMoth's comment in the file takes precedence over the file's name; a missing file has only its name.

    >>> clock_of(Path("SITE_20240131_235930.WAV")).isoformat()
    '2024-01-31T23:59:30'
    >>> clock_of(Path("20240301T063000+1000_REC.wav")).isoformat()
    '2024-03-01T06:30:00+10:00'
    >>> clock_of(Path("5E90A4D4.WAV")).isoformat()  # seconds since 1970, hexadecimal
    '2020-04-10T16:54:44+00:00'
    >>> clock_of(Path("20240131.wav")) is clock_of(Path("dog.wav")) is None
    True
    """
    return next(_clocks(path), None)


def clock_text(began: datetime | None, seconds: float) -> str:
    """Write the time of day of a detection, ISO 8601; empty if it is unknown.

    >>> clock_text(datetime(2024, 1, 31, 23, 59, 30), 45), clock_text(datetime(2024, 1, 31, tzinfo=UTC), 0.5)
    ('2024-02-01T00:00:15.000', '2024-01-31T00:00:00.500Z')
    """
    if began is None:
        return ""
    return (began + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _clocks(path: Path) -> Iterator[datetime]:
    for match in (_COMMENT.match(_comment(path)), *_NAME.finditer(path.stem)):
        if match and (began := _time_of(match.groupdict())):
            yield began
    if _HEX_NAME.fullmatch(path.stem):
        began = datetime.fromtimestamp(int(path.stem, 16), UTC)
        if _FIRST_AUDIOMOTH <= began <= datetime.now(UTC):
            yield began


def _time_of(parts: dict[str, str | None]) -> datetime | None:
    """Return the time in a comment or a name, if it is a valid one."""
    year, month, day, hour, minute, second = (
        int(parts[unit] or 0) for unit in ("year", "month", "day", "hour", "minute", "second")
    )
    microsecond = int((parts["fraction"] or "0").ljust(6, "0")[:6])
    try:
        zone = _zone(parts["zone"]) if parts["zone"] else None
        began = datetime(year, month, day, hour, minute, second, microsecond, zone)
    except ValueError:
        return None
    return began if year in _YEARS else None


def _zone(text: str) -> timezone:
    """Read `Z`, `UTC-3`, `+1000` or `+5:30`."""
    match = re.search(r"(\d\d?):?(\d\d)?$", text)
    hours, minutes = match.groups("0") if match else ("0", "0")
    away = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-away if "-" in text else away)


def _comment(path: Path) -> str:
    """Return the comment that a recorder wrote into a file, as read by libsndfile; empty without one."""
    if path.suffix.lower() not in _COMMENT_SUFFIXES:
        return ""
    import soundfile

    with contextlib.suppress(OSError, ValueError, soundfile.SoundFileError):
        if path.is_file():
            with path.open("rb") as file, soundfile.SoundFile(file) as sound:
                return str(sound.comment)
    return ""
