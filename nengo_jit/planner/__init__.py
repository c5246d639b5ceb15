"""The planner: makes a Plan from a Model, with the operators in the order in which they run."""

from nengo_jit.planner.graph import dependency_graph, topological_order
from nengo_jit.planner.passes import Pass, make_plan
from nengo_jit.planner.plan import Plan, ProbePlan

__all__ = ["Pass", "Plan", "ProbePlan", "dependency_graph", "make_plan", "topological_order"]
