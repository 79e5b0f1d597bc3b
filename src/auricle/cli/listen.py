"""The verb `listen`: the microphone through a trained model."""

from typing import Annotated

import typer

from auricle.cli.options import Quiet, Verbose, say, verbosity
from auricle.cli.predict import BundleFolder, Hop, Threshold


def listen(
    context: typer.Context,
    bundle: BundleFolder,
    device: Annotated[str | None, typer.Option(help="A sound device's name or number.")] = None,
    hop: Hop = None,
    threshold: Threshold = None,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Say live what the microphone hears, one line a window, until Ctrl-C."""
    level = verbosity(context, quiet, verbose)
    from auricle.predict import microphone
    from auricle.predict.classifier import NONE_OF_THESE, Classifier
    from auricle.predict.formats import short_time

    classifier = Classifier.load(bundle)
    if level >= 0:
        say(f"listening, {classifier.window_s:g} s at a time; Ctrl-C ends it")
    for seconds, prediction in microphone.listen(classifier, device=device, hop_s=hop):
        highest = float(prediction.probabilities.max())
        is_none = highest < threshold if threshold is not None else prediction.none_of_these
        bar = "█" * round(20 * highest)
        label = NONE_OF_THESE if is_none else prediction.label
        print(f"{short_time(seconds):>8}  {label:24.24} {highest:4.0%} {bar}", flush=True)
