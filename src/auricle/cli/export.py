"""The verb `export`: a trained model to a bundle."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.options import Data, Json, Quiet, Threads, Verbose, print_line, verbosity
from auricle.text import json_text


def export(
    context: typer.Context,
    cell: Annotated[Path, typer.Argument(metavar="CELL|STUDY", help="A finished cell's folder, or a study's.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where the bundle goes.")],
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Which model of a study.")] = None,
    final: Annotated[
        bool, typer.Option("--final", help="Train on all clips first, by the study's recipe; its cells vouch for it.")
    ] = False,
    every_seed: Annotated[
        bool, typer.Option("--every-seed", help="One bundle of all seeds, which answer together (an ensemble).")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to eight bits, and measure what that costs.")] = False,
    data: Data = None,
    threads: Threads = None,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Make a bundle of a trained model: ONNX, weights, calibration, model card; checked against PyTorch."""
    from auricle.cli.study import hint_when_stopped
    from auricle.study.asking import data_of

    level = verbosity(context, quiet, verbose)
    source, root = data_of(cell, data)
    from auricle.api.exporting import export_model

    with hint_when_stopped(cell) if final else contextlib.nullcontext():
        bundle = export_model(
            cell, to, model, final=final, every_seed=every_seed, int8=int8, source=source, root=root, threads=threads,
            level=level,
        )  # fmt: skip
    if json:
        document = {"bundle": str(to), "num_bytes": bundle.num_bytes, **bundle.description.model_dump(mode="json")}
        print(json_text(document, indent=1))
        return
    print_line(f"{to}  {bundle.num_bytes / 1e6:.2f} MB, checked: PyTorch and ONNX Runtime agree")
    if (cost := bundle.description.int8) is not None:
        assert cost.accuracy_float is not None
        assert cost.accuracy_int8 is not None
        print(
            f"eight bits: {100 * cost.accuracy_int8:.1f} % of {cost.num_clips} test clips right, "
            f"{100 * cost.accuracy_float:.1f} % before"
        )
