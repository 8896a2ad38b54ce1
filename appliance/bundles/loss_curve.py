"""The loss curve of a fine-tuning as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def draw(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Write a PNG of loss and held-out share over steps.

    Args:
        history: entries with ``step`` and either ``loss`` or ``heldout_exact`` (share by language).
        path: of the PNG.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    losses = [(entry["step"], float(entry["loss"])) for entry in history if "loss" in entry]
    tries = [(entry["step"], entry["heldout_exact"]) for entry in history if "heldout_exact" in entry]
    figure, left = plt.subplots(figsize=(8, 4.5))
    left.plot(*zip(*losses, strict=True) if losses else ([], []), color="tab:blue", linewidth=1)
    left.set_yscale("log")
    left.set_xlabel("step")
    left.set_ylabel("training loss", color="tab:blue")
    right = left.twinx()
    for language, style in (("ko", "o-"), ("en", "s--")):
        points = [(step, share[language]) for step, share in tries if language in share]
        right.plot(*zip(*points, strict=True) if points else ([], []), style, markersize=3, label=language)
    right.set_ylim(0, 1)
    right.set_ylabel("held-out diagnoses exact")
    right.legend(loc="center right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
