"""The command `export`: a trained model as a bundle, or as a web page that runs it."""

import contextlib
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.options import Data, Json, Quiet, Threads, Verbose, print_line, verbosity
from auricle.errors import UsageError
from auricle.text import json_text


def export(
    context: typer.Context,
    cell: Annotated[Path, typer.Argument(metavar="CELL|STUDY", help="Folder of a finished cell or of a study.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Output folder of the bundle or the web page.")],
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Model of the study to export.")] = None,
    final: Annotated[
        bool, typer.Option("--final", help="Train on all clips first; scores are those of the study's cells.")
    ] = False,
    every_seed: Annotated[
        bool, typer.Option("--every-seed", help="One bundle that averages the models of all seeds (an ensemble).")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to 8 bits, and measure the accuracy lost.")] = False,
    web: Annotated[
        bool,
        typer.Option("--web", help="Write a web page that runs the model offline, not a bundle; also from a bundle."),
    ] = False,
    data: Data = None,
    threads: Threads = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Export a trained model as a bundle: ONNX, weights, calibration and model card, checked against PyTorch."""
    from auricle.cli.study import hint_when_stopped
    from auricle.study.configure import data_of

    level = verbosity(context, quiet, verbose)
    if web:
        from auricle.bundle.description import DESCRIPTION
        from auricle.demo.browser import check_page_place

        check_page_place(to)
        if (cell / DESCRIPTION).is_file():
            given = {"--model": model, "--final": final, "--every-seed": every_seed, "--int8": int8, "--data": data}
            if useless := [option for option, value in given.items() if value]:
                raise UsageError(f"{cell} is a bundle, so {useless[0]} has no effect; leave it out, or name the study")
            _write_page(cell, to, json)
            return
    source, root = data_of(cell, data)
    from auricle.api.exporting import export_model

    with tempfile.TemporaryDirectory(prefix="auricle-") as scratch:
        folder = Path(scratch) / "bundle" if web else to
        with hint_when_stopped(cell) if final else contextlib.nullcontext():
            bundle = export_model(
                cell, folder, model, final=final, every_seed=every_seed, int8=int8, source=source, root=root,
                threads=threads, level=level,
            )  # fmt: skip
        if web:
            _write_page(folder, to, json)
            return
    if json:
        document = {"bundle": str(to), "num_bytes": bundle.num_bytes, **bundle.description.model_dump(mode="json")}
        print(json_text(document, indent=1))
        return
    cost = bundle.description.int8
    checked = ", checked: PyTorch and ONNX Runtime agree" if cost is None else ""  # the network before it was quantised
    print_line(f"{to}  {bundle.num_bytes / 1e6:.2f} MB{checked}")
    if cost is not None:
        assert cost.accuracy_float is not None
        assert cost.accuracy_int8 is not None
        print(
            f"8 bits: {100 * cost.accuracy_int8:.1f} % of {cost.num_clips} test clips correct, "
            f"{100 * cost.accuracy_float:.1f} % before"
        )


def _write_page(bundle: Path, to: Path, json: bool) -> None:
    """Write the web page of a bundle, and print where it is."""
    from auricle.bundle.reading import load_bundle
    from auricle.demo.browser import PAGE, write_page

    num_bytes = write_page(load_bundle(bundle), to)
    if json:
        print(json_text({"page": str(to / PAGE), "num_bytes": num_bytes}, indent=1))
    else:
        print_line(f"{to / PAGE}  {num_bytes / 1e6:.2f} MB; open it in a browser, or put the folder on a web server")
