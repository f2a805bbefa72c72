"""The benchmark's own arithmetic: what it says is met is met."""

from __future__ import annotations

from tests.bench.goals import Result, compared, grown, percentile, sizes, table


def test_a_result_is_met_only_within_every_limit_it_has():
    quick = Result("list, first page", 10_000, 5.0, ratio=2.2, bytes=25_000, compressed=4_000)
    heavy = Result("list, first page", 10_000, 5.0, ratio=2.2, bytes=25_001, compressed=4_000)
    unlimited = Result("first tick of a day", 10_000, 900.0)
    assert (quick.met, heavy.met, unlimited.met) == (True, False, None)
    assert [limit.figure for limit in heavy.missed] == ["bytes"]
    assert quick.as_json()["goal"] == "2.2×, 25000 B, 4000 B gz"


def test_a_ratio_is_the_median_of_the_rounds_own_ratios():
    rounds = [([0.002, 0.002], [0.001, 0.001]), ([0.030, 0.030], [0.010, 0.010]), ([0.005] * 2, [0.001] * 2)]
    assert compared(rounds) == {"p50_ms": 5.0, "p95_ms": 5.0, "floor_ms": 1.0, "ratio": 3.0}


def test_sizes_grow_up_to_the_largest_asked_for():
    assert [sizes(2_000), sizes(100_000), sizes(1_000_000)] == [
        [2_000],
        [10_000, 100_000],
        [10_000, 100_000, 1_000_000],
    ]


def test_a_share_of_values_lies_below_its_percentile():
    values = [float(number) for number in range(101)]
    assert [percentile(values, share) for share in (0, 0.5, 0.95, 1)] == [0, 50, 95, 100]


def test_growth_stands_beside_the_next_smaller_size_and_in_the_table():
    results = [
        Result("board", 10_000, 10.0),
        Result("board", 100_000, 11.0),
        Result("board", 1_000_000, 14.0),
    ]
    made = grown(results)
    assert [(one.size, round(one.ratio, 2), one.met) for one in made] == [
        (100_000, 1.1, True),
        (1_000_000, 1.27, False),
    ]
    assert "no: 1.15×" in table(made)


def test_of_a_webhook_the_slow_answers_count():
    ours, floor = [0.001] * 18 + [0.009] * 2, [0.001] * 18 + [0.002] * 2
    figures = compared([(ours, floor)], 0.95)
    assert (figures["p50_ms"], figures["floor_ms"], figures["ratio"]) == (1.0, 2.0, 4.5)
    assert Result("webhook accepted", 10_000, **figures).met is False
    assert Result("webhook applied", 10_000, 2.0).met is True
    assert Result("webhook applied", 10_000, 2.1).met is False
