"""How work is divided between a worker's own cores and nodes of a cluster, with a stand-in for Ray."""

from __future__ import annotations

import os
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from engine.work import ray_cluster
from engine.work.ray_cluster import NoRay, RayPool, connect, opening, run_on_node


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        super().__init__(f"a trace of the node: {cause}")
        self.cause = cause


class Exceptions:
    RayError, RayTaskError = RayError, RayTaskError


class Reference:
    def __init__(self):
        self._future = Future()

    def future(self):
        return self._future


class StandIn:
    """A cluster with `cores`, whose nodes answer at once as `answer` says: with the result, an error, or never."""

    exceptions = Exceptions

    def __init__(self, answer, cores=3):
        self.answer, self.cores, self.given, self.cancelled = answer, cores, [], []

    def cluster_resources(self):
        return {"CPU": float(self.cores)}

    @property
    def _private(self):
        free = {"worker's": {"memory": 1.0}, "another": {"CPU": self.cores - 1.0}}
        return SimpleNamespace(state=SimpleNamespace(available_resources_per_node=lambda: free))

    @property
    def util(self):
        return SimpleNamespace(scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=self.placed))

    def placed(self, node, soft):
        assert (node, soft) == ("another", False)

    def options(self, scheduling_strategy):
        return self

    def remote(self, **options):
        assert options == {"num_cpus": 1}
        return lambda function: self

    def wait(self, references, num_returns, timeout):
        return references, []

    def cancel(self, reference):
        self.cancelled.append(reference)


class Nodes(StandIn):
    def remote(self, *arguments, **options):
        if not arguments:
            return super().remote(**options)
        reference = Reference()
        self.given.append(arguments[3])
        self.answer(reference.future(), *arguments)
        return reference


def right(future, version, environment, work, task):
    future.set_result(run_on_node(version, environment, work, task))


def double(number):
    if number == 13:
        raise ValueError("The image 'thirteen' cannot be labelled.")
    return 2 * number


def results(nodes, tasks):
    with RayPool(nodes, 1, {}) as pool:
        return list(pool.map(double, tasks, len(tasks)))


def test_results_are_in_order_wherever_they_come_from():
    nodes = Nodes(right)
    assert results(nodes, range(20, 50)) == [2 * number for number in range(20, 50)]
    assert nodes.given


def test_an_error_of_a_task_is_raised_as_it_was_there():
    def answer(future, version, environment, work, task):
        try:
            right(future, version, environment, work, task)
        except ValueError as error:
            future.set_exception(RayTaskError(error))

    with pytest.raises(ValueError, match=r"^The image 'thirteen' cannot be labelled\.$"):
        results(Nodes(answer), [13] * 4)


def test_what_a_node_loses_is_done_here():
    def answer(future, version, environment, work, task):
        future.set_exception(RayError("The node died."))

    nodes = Nodes(answer)
    assert results(nodes, range(10)) == [2 * number for number in range(10)] and nodes.given


def test_what_no_node_gets_on_with_is_done_here_and_cancelled_there(monkeypatch):
    monkeypatch.setattr(ray_cluster, "PATIENCE_S", 0.1)
    monkeypatch.setattr(ray_cluster, "LOOK_S", 0.05)
    nodes = Nodes(lambda *_: None)
    assert results(nodes, range(10)) == [2 * number for number in range(10)]
    assert 0 < len(nodes.given) < 10 and len(nodes.cancelled) == len(nodes.given)


def test_what_takes_long_on_a_node_is_left_to_it_while_there_is_work_here(monkeypatch):
    monkeypatch.setattr(ray_cluster, "PATIENCE_S", 0.0)
    here: Future[int] = Future()
    monkeypatch.setattr(RayPool, "_begin_here", lambda self, work, task, processes: here)
    looks = []

    def result(timeout):
        looks.append(timeout)
        if len(looks) < 4:
            raise TimeoutError
        here.set_result(2)
        return 0

    def answer(future, version, environment, work, task):
        future.result = result

    assert results(Nodes(answer), [0, 1]) == [0, 2] and len(looks) == 4


def test_work_that_is_given_up_leaves_nothing_on_the_nodes():
    def answer(future, version, environment, work, task):
        if task == 0:
            right(future, version, environment, work, task)

    nodes = Nodes(answer)
    with pytest.raises(KeyError), RayPool(nodes, 1, {}) as pool:
        assert next(pool.map(double, range(10), 10)) == 0
        raise KeyError
    assert len(nodes.cancelled) >= len(nodes.given) - 1 > 0


def variable(_):
    return os.environ.get("AWS_TEST")


def test_a_task_has_the_variables_of_the_object_store(monkeypatch):
    monkeypatch.setenv("AWS_TEST", "of the node")
    with RayPool(Nodes(right, cores=99), 1, {"AWS_TEST": "of the worker"}) as pool:
        assert next(pool.map(variable, range(2), 2)) == "of the worker"


def test_another_version_on_a_node_is_a_sentence():
    with pytest.raises(ray_cluster.OtherVersion, match=r"A node of the Ray cluster has Maskloom .*, the worker 0\.0\."):
        run_on_node("0.0", {}, double, 1)


def test_without_ray_or_other_nodes_there_are_the_processes_of_this_machine(installation, monkeypatch):
    current = installation.settings.model_copy(update={"launch_cpus": 2})
    monkeypatch.setattr(ray_cluster, "connect", lambda address: StandIn(None, cores=2))
    assert not opening(current)().spreads
    monkeypatch.setattr(ray_cluster, "connect", lambda address: StandIn(None, cores=3))
    assert opening(current)().spreads
    monkeypatch.undo()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NoRay, match=r"pip install 'ray=="):
        connect("")
    assert not opening(current)().spreads
    assert os.environ.get(ray_cluster.IN_RAY) is None
