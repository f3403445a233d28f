"""Work on single images in other processes: order, errors, and how much is begun ahead."""

from __future__ import annotations

import os

import pytest

from engine.core import fan_out, machine
from engine.core.fan_out import Pool, ProcessKilled


def double(number):
    if number == 13:
        raise ValueError("The image 'thirteen' cannot be labelled.")
    if number == 99:
        os._exit(1)
    return 2 * number, os.getpid()


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(machine, "cores", lambda: 2)


def test_results_are_in_order_from_other_processes_and_few_tasks_are_begun_ahead():
    taken = []
    tasks = (taken.append(number) or number for number in range(12))
    with Pool() as pool:
        results = pool.map(double, tasks, 12, 2)
        first, process = next(results)
        assert (first, len(taken)) == (0, 4) and process != os.getpid()
        assert [value for value, _ in results] == [2 * number for number in range(1, 12)]


def test_one_task_alone_is_done_in_this_process():
    with Pool() as pool:
        assert list(pool.map(double, [5], 1)) == [(10, os.getpid())]


def test_cores_that_a_scheduler_gave_to_others_are_not_used(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 1)
    assert Pool().cores == 1


def test_the_first_error_in_order_ends_the_work_and_what_came_before_it_is_kept():
    kept = []
    with pytest.raises(ValueError, match="'thirteen'"), Pool() as pool:
        kept.extend(value for value, _ in pool.map(double, [11, 12, 13, 14], 4))
    with pytest.raises(ProcessKilled, match="most likely because memory ran out"), Pool() as pool:
        list(pool.map(double, [1, 99], 2))


def test_a_worker_can_provide_other_processes(monkeypatch):
    monkeypatch.setattr(fan_out, "_open", fan_out._open)  # restored at the end
    mine = Pool()
    fan_out.use(lambda: mine)
    assert fan_out.pool() is mine
