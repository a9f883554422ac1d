from __future__ import annotations

import numpy as np
import pytest

from katibpy.algo.randomness import generator, seed_of


def test_a_stream_follows_from_seed_and_index_alone() -> None:
    np.testing.assert_array_equal(generator(3, 8).random(5), generator(3, 8).random(5))


def test_streams_of_other_seeds_and_indices_differ() -> None:
    firsts = {generator(seed, index).random() for seed in range(30) for index in range(30)}
    assert len(firsts) == 900


def test_streams_stay_the_same_from_version_to_version() -> None:
    assert generator(7, 0).random() == pytest.approx(0.8720734548204873)
    assert seed_of("experiment") == 5576298030638355518


@pytest.mark.parametrize(
    ("seed", "index"), [(0, 0), (7, 2**64 - 1), (2**63 + 5, 2**70 + 3), (2**127, 2**128 - 1)]
)
def test_a_stream_is_philox_keyed_with_the_seed_and_counted_from_the_index(seed: int, index: int) -> None:
    mine = generator(seed, index)
    numpys = np.random.Generator(np.random.Philox(key=seed, counter=index << 64))
    np.testing.assert_array_equal(mine.integers(2**40, size=9), numpys.integers(2**40, size=9))
    np.testing.assert_array_equal(mine.standard_normal(9), numpys.standard_normal(9))


def test_what_is_spawned_from_a_stream_follows_from_it_and_is_new_each_time() -> None:
    stream = generator(3, 8)
    first, second = stream.spawn(2)
    (third,) = stream.spawn(1)
    again = generator(3, 8).spawn(3)
    values = [each.random() for each in (first, second, third)]
    assert values == [each.random() for each in again]
    assert len({*values, generator(3, 9).spawn(1)[0].random()}) == 4


def test_neighbouring_streams_do_not_overlap() -> None:
    long = generator(1, 0).random(10_000)
    assert not np.isin(generator(1, 1).random(1000), long).any()


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1)])
def test_negative_numbers_are_refused(seed: int, index: int) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        generator(seed, index)


def test_seeds_of_texts_are_non_negative_and_differ() -> None:
    seeds = {seed_of(f"uid-{number}") for number in range(1000)}
    assert len(seeds) == 1000
    assert min(seeds) >= 0
