"""The command `demo`: trained models on a web page."""

from pathlib import Path
from typing import Annotated

import typer

from auricle.cli.options import Quiet, Verbose, say, verbosity
from auricle.extras import require


def demo(
    context: typer.Context,
    folders: Annotated[
        list[Path], typer.Argument(metavar="BUNDLE|STUDY ...", help="Bundles, or a study (all its models).")
    ],
    models: Annotated[
        list[str] | None, typer.Option("--model", metavar="NAME", help="Show only this model of a study; repeatable.")
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 is open to the whole network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port to listen on; 0 takes any free one.")
    ] = 7860,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Also accept requests to this host name; repeatable.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Serve a web demo: the classes that trained models detect in a sound, and the times they attend to.

    Nothing is sent elsewhere and no upload is kept. Ctrl-C stops it.
    """
    level = verbosity(context, quiet, verbose)
    require("gradio")
    import tempfile

    from auricle.demo.server import LOOPBACK, build_demo, free_port, serving, wait_until_stopped, warm_up
    from auricle.demo.sources import load_examples, load_models

    free_port(host, port)  # fail now rather than after the models are loaded
    report = say if level >= 0 else lambda line: None
    with tempfile.TemporaryDirectory(prefix="auricle-demo-") as scratch:
        shown = load_models(folders, Path(scratch), report, models or ())
        warm_up(shown)
        is_local = host in LOOPBACK
        blocks = build_demo(shown, load_examples(folders), Path(scratch), is_local=is_local)
        if not is_local:
            report(f"listening on {host}: everyone on the network can open this page at the address of this computer")
        with serving(blocks, Path(scratch), host=host, port=port, names=allow_host or ()) as address:
            print(address, flush=True)
            report("open this address in a browser; Ctrl-C stops the demo")
            wait_until_stopped()
