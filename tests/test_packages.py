"""What auricle stands on: the lock file with its hashes, and the page of licences."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def plain(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def pinned(file: str) -> dict[str, str]:
    text = (ROOT / file).read_text(encoding="utf-8")
    return {plain(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}


def needed() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    return {
        plain(re.split("[^A-Za-z0-9_.-]", need)[0])
        for need in (*project["dependencies"], *extras["demo"], *extras["media"])
    }


def test_the_lock_file_holds_all_that_is_needed_in_the_versions_of_the_constraints_and_each_has_a_hash() -> None:
    locked, constraints = pinned("requirements.lock"), pinned("constraints.txt")
    assert needed() <= set(locked)
    assert locked == {name: constraints[name] for name in locked}, "run `make lock licences`"
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"\S+==\S+ --hash=sha256:[0-9a-f]{64}", line) for line in lines)


def test_the_page_of_licences_names_each_locked_package_and_copyleft_first() -> None:
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+) \| (\d\S*) \| (.*?) \|", page, re.MULTILINE)
    assert {plain(name): version for name, version, _ in rows} == pinned("requirements.lock"), "run `make licences`"
    assert "soxr" in [name for name, *_ in rows[:6]]
    assert "not named" not in page
