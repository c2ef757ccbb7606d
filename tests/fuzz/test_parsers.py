"""A few thousand odd inputs in every test run; `make fuzz` goes on for minutes, led by coverage."""

from __future__ import annotations

import random

import pytest

from .parsers import mutated, one, seeds


async def test_every_seed_however_it_is_cut() -> None:
    for data in seeds():
        for way in range(24):
            await one(bytes([data[0], way]) + data[2:])


@pytest.mark.parametrize("seed", range(4))
async def test_mutations_of_the_seeds(seed: int) -> None:
    chance = random.Random(seed)
    beginnings = seeds()
    for _ in range(1500):
        data = mutated(chance.choice(beginnings), chance)
        try:
            await one(data)
        except Exception as error:
            raise AssertionError(f"failed for {data!r}") from error
