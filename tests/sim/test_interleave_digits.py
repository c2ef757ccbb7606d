"""The digits as TREC files: whole, and the ranker with more of the image ranks better."""

from __future__ import annotations

from pathlib import Path

from crossfade.sim.interleave_digits import COMPONENTS, QUERIES, write
from crossfade.sim.trec import read_qrels, read_run


def test_the_files_are_read_back_and_pixels_rank_best(tmp_path: Path) -> None:
    qrels, *runs = write(tmp_path)
    judged = read_qrels(qrels)
    assert len(judged) == QUERIES
    found = {}
    for file in runs:
        ranked = read_run(file)
        assert ranked.keys() == judged.keys()
        found[file.stem] = sum(item in judged[topic] for topic, items in ranked.items() for item in items[:10])
    assert list(found) == ["full", *(f"pca{count}" for count in COMPONENTS)]
    assert found["full"] > found["pca6"] > found["pca4"] > found["pca3"] > 0
