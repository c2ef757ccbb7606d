"""CPU microseconds of one merge of two lists of 100 items: `python -m benchmarks.merge_alone METHOD TRIES`."""

from __future__ import annotations

import random
import sys
import time

from crossfade.live.interleave import merge_fairly

MERGES = 200


def each(method: str, pairs: list[tuple[list[str], list[str]]]) -> float:
    """Microseconds of CPU time a merge; other lists each time."""
    began = time.process_time()
    for number in range(MERGES):
        ours, theirs = pairs[number % len(pairs)]
        merge_fairly(method, ours, theirs, key=f"bench:user-{number}:query")
    return (time.process_time() - began) / MERGES * 1e6


if __name__ == "__main__":
    rng = random.Random(1)
    lists = [
        ([f"item-{n}" for n in rng.sample(range(150), 100)], [f"item-{n}" for n in rng.sample(range(150), 100)])
        for _ in range(50)
    ]
    # The quickest: a neighbour on the machine only ever adds.
    print(min(each(sys.argv[1], lists) for _ in range(int(sys.argv[2]))))
