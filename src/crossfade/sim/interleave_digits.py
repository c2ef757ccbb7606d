"""Rankers of digits as TREC files, to try `simulate --interleave` on: `python -m crossfade.sim.interleave_digits DIR`.

The queries are 300 images of scikit-learn's bundled set, the documents the others; a document is relevant if it shows
the same digit. `full` compares all pixels, `pca6`, `pca4` and `pca3` so many principal components.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from crossfade.sim.models import Ranker

QUERIES = 300
COMPONENTS = (6, 4, 3)


def write(folder: Path, *, seed: int = 0) -> list[Path]:
    """Write the judgments and the runs; returns the files."""
    from sklearn.datasets import load_digits
    from sklearn.decomposition import PCA

    images, labels = load_digits(return_X_y=True)
    images = images / 16.0
    order = np.random.default_rng(seed).permutation(len(labels))
    queries, documents = order[:QUERIES], order[QUERIES:]
    names = tuple(f"d{number}" for number in documents)
    qrels = folder / "digits.qrels"
    qrels.write_text(
        "".join(
            f"{query} 0 {name} 1\n"
            for query in queries
            for name, number in zip(names, documents, strict=True)
            if labels[number] == labels[query]
        )
    )
    projections = {"full": np.eye(images.shape[1])}
    for count in COMPONENTS:
        projections[f"pca{count}"] = PCA(count, random_state=seed).fit(images[documents]).components_.T
    files = [qrels]
    for tag, projection in projections.items():
        ranker = Ranker.of(images[documents], names, projection)
        files.append(folder / f"{tag}.run")
        files[-1].write_text(
            "".join(
                f"{query} Q0 {name} {rank} {-rank} {tag}\n"
                for query in queries
                for rank, name in enumerate(ranker.search(images[query]), 1)
            )
        )
    return files


if __name__ == "__main__":
    print(*write(Path(sys.argv[1])), sep="\n")
