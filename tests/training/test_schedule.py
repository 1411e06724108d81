"""Learning-rate schedules against their papers' formulas."""

import pytest

from limpid.training.schedule import ScheduleSection, factor


def test_inverse_square_root_is_equation_3_of_the_transformer_paper():
    d_model, warmup = 512, 4000
    peak = (d_model * warmup) ** -0.5  # what optim.lr is
    at = factor(ScheduleSection(kind="inverse_sqrt", warmup_steps=warmup), 100_000)
    for step in (1, 2, 100, 3999, 4000, 4001, 25_000, 100_000):  # the paper counts from 1
        paper = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert peak * at(step - 1) == pytest.approx(paper, rel=1e-9)


def test_inverse_square_root_does_not_know_how_long_the_run_is():
    short, long = (factor(ScheduleSection(kind="inverse_sqrt", warmup_steps=10), steps) for steps in (20, 2000))
    assert [short(step) for step in range(20)] == [long(step) for step in range(20)]


def test_inverse_square_root_without_warm_up_begins_at_its_peak():
    at = factor(ScheduleSection(kind="inverse_sqrt", warmup_steps=0), 100)
    assert at(0) == 1.0
    assert at(3) == pytest.approx(0.5)
