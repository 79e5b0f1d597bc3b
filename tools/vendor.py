"""Fetch what web pages of auricle bring along, from npm, and check it against the hashes here: `make vendor`.

A page of `auricle export --web` holds ONNX Runtime compiled to WebAssembly; its JavaScript and, compressed, its binary
lie in src/auricle/demo/vendor, with the licences of the release in Python, which the package of npm lacks.
"""

import gzip
import hashlib
import subprocess
import tarfile
import tempfile
from importlib import resources
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "src" / "auricle" / "demo" / "vendor"
PACKAGE = "onnxruntime-web@1.30.0"
HASHES = {  # the build for the processor alone; it runs in one thread where a page may not have several
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}


def contents() -> dict[str, bytes]:
    """Return the files of the package that we keep; a `ValueError` where one is not what it was."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True)
        (archive,) = Path(folder).iterdir()
        with tarfile.open(archive) as tar:
            files = {name: tar.extractfile(f"package/dist/{name}") for name in HASHES}
            found = {name: file.read() for name, file in files.items() if file}
    for name, expected in HASHES.items():
        if (actual := hashlib.sha256(found[name]).hexdigest()) != expected:
            raise ValueError(f"{PACKAGE}: {name} has SHA-256 {actual}, not {expected}")
    return found


def licences() -> str:
    """Return the licence of ONNX Runtime and those of what it is built from."""
    parts = (resources.files("onnxruntime").joinpath(name) for name in ("LICENSE", "ThirdPartyNotices.txt"))
    return "\n\n".join(["ONNX Runtime", *(part.read_text(encoding="utf-8-sig") for part in parts)])


if __name__ == "__main__":
    VENDOR.mkdir(exist_ok=True)
    for name, content in contents().items():
        if name.endswith(".wasm"):
            (VENDOR / f"{name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))
        else:
            (VENDOR / name).write_bytes(content)
    (VENDOR / "onnxruntime-licences.txt").write_text(licences(), encoding="utf-8")
