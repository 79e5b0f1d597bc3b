"""Our attention against PyTorch's fused one: `python benchmarks/attention.py [--results RESULTS.md]`.

Both are `MultiHeadAttention` with its four projections, width 128 and 4 heads; between the projections the other side
calls `scaled_dot_product_attention`. A measurement is one pass forward and one back, to the tokens and to every
weight, on one thread, without dropout. The batch holds 4,096 tokens at any length, so the projections cost the same in
every row. Memory is what a fresh process holds at most beyond what it held before the pass.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from auricle.model.transformer import MultiHeadAttention
from auricle.system import peak_memory_mb
from measure import in_turn, publish, ratio, seconds, table

WIDTH, NUM_HEADS, NUM_TOKENS = 128, 4, 4096
LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096)
PRECISIONS = ("float32", "bfloat16")
HEADER = ("precision", "T", "batch", "ours, ms", "fused, ms", "ours / fused", "ours, MB", "fused, MB")


class Fused(MultiHeadAttention):
    """The same with PyTorch's fused kernel between the projections."""

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        q, k, v = (self.split(project(tokens)) for project in (self.query, self.key, self.value))
        return self.output(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


SIDES = {"ours": MultiHeadAttention, "fused": Fused}


class Pass:
    """One pass forward and one back over tokens of a given length."""

    def __init__(self, side: str, precision: str, length: int, batch: int) -> None:
        torch.manual_seed(0)
        self.attention = SIDES[side](WIDTH, NUM_HEADS)
        self.tokens = torch.randn(batch, length, WIDTH).requires_grad_()
        self.gradient = torch.randn(batch, length, WIDTH)
        self.autocast = partial(torch.autocast, "cpu", torch.bfloat16, enabled=precision == "bfloat16")

    def __call__(self) -> None:
        """Leave gradients, as a training step does."""
        self.attention.zero_grad()
        self.tokens.grad = None
        with self.autocast():
            read = self.attention(self.tokens)
        read.backward(self.gradient.to(read.dtype))


def memory_mb(side: str, precision: str, length: int) -> float:
    """Return the most memory that a pass adds to this process, which must be a fresh one."""
    torch.set_num_threads(1)
    Pass(side, precision, 8, 1)()  # what the first pass of any size loads
    work = Pass(side, precision, length, NUM_TOKENS // length)
    before = peak_memory_mb()
    work()
    return peak_memory_mb() - before


def compare(precision: str, length: int, num_rounds: int, fresh: ProcessPoolExecutor) -> tuple[str, ...]:
    """Return a row of the table."""
    batch = NUM_TOKENS // length
    passes = {side: partial(seconds, Pass(side, precision, length, batch)) for side in SIDES}
    found = in_turn(passes, num_rounds)
    times = [f"{1000 * statistics.median(found[side]):.1f}" for side in SIDES]
    memory = [f"{fresh.submit(memory_mb, side, precision, length).result():.0f}" for side in SIDES]
    return precision, str(length), str(batch), *times, ratio(found["ours"], found["fused"]), *memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--results", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    context = multiprocessing.get_context("forkserver")  # its processes are fresh, with torch imported already
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as fresh:
        rows = [compare(kind, length, asked.rounds, fresh) for kind in PRECISIONS for length in asked.lengths]
    about = (
        f"Our attention, from basic operations, against `scaled_dot_product_attention` with the same projections: "
        f"width {WIDTH}, {NUM_HEADS} heads, {NUM_TOKENS:,} tokens a batch, there and back, one thread, no dropout. "
        f"Times are medians of {asked.rounds} rounds, ratios with their lowest and highest round; memory is "
        f"what a pass adds at most to a fresh process. bfloat16 is autocast."
    )
    publish("Attention", about, table(HEADER, rows), asked.results)


if __name__ == "__main__":
    main()
