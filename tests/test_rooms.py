"""The rooms of docs/architecture.md, read from the imports."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import auricle

SOURCE = Path(auricle.__file__).parent
ROOMS = (
    "errors", "extras", "system", "text", "tabular", "files", "locks", "config", "data", "model", "audit", "scoring",
    "runs", "training", "work", "study", "search", "tracking", "bundle", "predict", "probes", "findings", "report",
    "demo", "handin", "display", "api", "cli",
)  # fmt: skip
MODULES = sorted(SOURCE.rglob("*.py"))
NEED_TORCH = {
    *(SOURCE / "bundle" / f"{name}.py" for name in ("export", "layout", "convert", "parity", "quantise")),
    *(SOURCE / "probes" / name for name in ("cell.py", "changes.py")),  # a network is asked again
    *(SOURCE / "handin" / name for name in ("program.py", "hand_in_results.py")),  # are handed in, imported by nothing
}
BY_NAME = {f"auricle.{'.'.join(path.relative_to(SOURCE).with_suffix('').parts)}": path for path in MODULES}
HEAVY = {
    "IPython", "matplotlib", "numpy", "optuna", "pandas", "pydantic", "rich", "scipy", "sklearn", "soundfile", "torch",
    "wandb", "yaml",
}  # fmt: skip


def room_of(module: Path) -> str:
    return module.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    """Name the modules that are imported anywhere below a node, and what is imported from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_yaml_is_read_in_one_place_which_bounds_it() -> None:
    reading = re.compile(r"\byaml\.(safe_|full_|unsafe_)?(load|load_all|parse|compose)\(")
    found = {str(path.relative_to(SOURCE)) for path in MODULES if reading.search(path.read_text())}
    assert found == {"config/bounded_yaml.py", "handin/program.py"}  # the latter reads what stands in itself


def rooms_imported(source: str) -> set[str]:
    return {name.split(".")[1] for name in imports(ast.parse(source)) if name.startswith("auricle.")} & set(ROOMS)


@cache
def imported_by_importing(source: str) -> set[str]:
    """Return what a module imports as soon as it is imported itself."""
    found: set[str] = set()
    nodes = list(ast.iter_child_nodes(ast.parse(source)))
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= set(imports(node))
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not is_for_types(node):
            nodes += ast.iter_child_nodes(node)
    return found


def packages_reached(module: Path) -> set[str]:
    """Return the foreign packages that importing a module imports, through others of ours too."""
    found, seen, left = set(), {module}, [module]
    while left:
        names = imported_by_importing(left.pop().read_text())
        found |= {name.split(".")[0] for name in names}
        new = {BY_NAME[name] for name in names if name in BY_NAME} - seen
        seen |= new
        left += new
    return found


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def test_every_module_stands_in_a_room():
    assert {room_of(module) for module in MODULES} - {"__init__", "__main__"} <= set(ROOMS)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(SOURCE)))
def test_a_room_imports_only_from_itself_and_below(module):
    room = room_of(module)
    # the doors open every room
    below = set(ROOMS if room in ("__init__", "__main__") else ROOMS[: ROOMS.index(room) + 1])
    assert rooms_imported(module.read_text()) <= below


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(SOURCE)))
def test_importing_a_room_without_networks_imports_no_torch(module):
    if room_of(module) not in ("model", "training") and module not in NEED_TORCH:
        assert "torch" not in packages_reached(module)


def floors(room: str = "") -> dict[Path, int]:
    """Return on which floor of a room, or of all, each module stands: one above the highest that it imports."""
    chosen = {path for path in MODULES if room in ("", room_of(path)) and path.name != "__init__.py"}
    below = {
        path: {BY_NAME[name] for name in imported_by_importing(path.read_text()) if name in BY_NAME} & chosen - {path}
        for path in chosen
    }
    found: dict[Path, int] = {}
    while ready := [path for path in chosen - found.keys() if below[path] <= found.keys()]:
        found |= {path: 1 + max((found[other] for other in below[path]), default=0) for path in ready}
    assert found.keys() == chosen, f"modules that import each other: {sorted(map(str, chosen - found.keys()))}"
    return found


def test_no_modules_import_each_other_in_a_circle():
    assert floors()


def test_the_report_has_at_most_five_floors():
    assert max(floors("report").values()) <= 5


def test_an_upward_import_and_a_hasty_one_are_seen():
    assert rooms_imported("def f():\n    from auricle.report.table import show") == {"report"}
    assert rooms_imported("from auricle import runs, cli") == {"runs", "cli"}
    assert imported_by_importing("try:\n    import torch.nn\nexcept ImportError:\n    pass") == {"torch.nn"}
    assert imported_by_importing("def f():\n    import torch") == set()
    assert "torch" in packages_reached(SOURCE / "training" / "fit.py")


def test_the_command_line_starts_without_the_heavy_packages():
    program = "import sys, auricle.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


def test_the_allocator_is_set_in_one_place():
    assert [path for path in MODULES if "mallopt" in path.read_text()] == [SOURCE / "system.py"]


REPORTERS = {"gradio", "mlflow", "onnxruntime", "ray", "wandb"}
TOLD = {"charts.py", "final_sync.py", "local.py", "mirror.py", "node.py", "pool.py"}  # run below what has told them


def reporters_untold(module: Path) -> list[str]:
    """Return the libraries that report and that a function imports without having told them not to."""
    found, tree = [], ast.parse(module.read_text())
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            told = [node.lineno for node in ast.walk(function)
                    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "disable_telemetry"]  # fmt: skip
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom) and not any(line < node.lineno for line in told):
                    found += [name for name in imports(node) if name.split(".")[0] in REPORTERS]
    return found + [name for name in imported_by_importing(module.read_text()) if name.split(".")[0] in REPORTERS]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(SOURCE)))
def test_a_library_that_reports_is_told_not_to_before_it_is_imported(module):
    if room_of(module) != "handin" and module.name not in TOLD:
        assert reporters_untold(module) == []
