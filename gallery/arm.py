"""Adaptive control of an arm.

An arm with two joints reaches for targets, but its controller knows nothing of gravity, and the arm
sags. An ensemble learns the missing forces by PES within one cycle, from the controller's effort.
"""

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_jit

# %%
# The arm: links of half a metre, with a kilogram at the end of each. Only the simulation of the arm
# knows these equations; the controller does not.

GRAVITY, LINK = 9.81, 0.5


def accelerations(t, x):
    """Return angular accelerations from two angles, two velocities and two torques."""
    q1, q2, v1, v2, torque1, torque2 = x
    s, c = LINK**2 * np.sin(q2), LINK**2 * np.cos(q2)
    m11, m12, m22 = 3 * LINK**2 + 2 * c, LINK**2 + c, LINK**2
    weight2 = GRAVITY * LINK * np.cos(q1 + q2)
    force1 = torque1 + s * (2 * v1 * v2 + v2**2) - 2 * GRAVITY * LINK * np.cos(q1) - weight2
    force2 = torque2 - s * v1**2 - weight2
    forces = np.array([m22 * force1 - m12 * force2, m11 * force2 - m12 * force1])
    return forces / (m11 * m22 - m12**2)


def hand(angles):
    """Return where the hand is (metres), for angles of shape ``(..., 2)``."""
    first, second = angles[..., 0], angles[..., 0] + angles[..., 1]
    return LINK * np.stack((np.cos(first) + np.cos(second), np.sin(first) + np.sin(second)), -1)


# %%
# The controller is a spring and a damper. Its torque is also the error that the ensemble learns
# from: once the ensemble supplies the right torque, the controller has nothing left to do.

TARGETS = np.array([[0.3, 1.2], [1.0, 1.0], [1.3, 0.3], [0.6, 0.5]])  # angles of the joints
PERIOD = 1.5  # seconds for each target
CYCLE = PERIOD * len(TARGETS)
STIFFNESS, DAMPING = 60, 15

with nengo.Network(seed=0) as model:
    target = nengo.Node(nengo.processes.PresentInput(TARGETS, PERIOD))
    arm = nengo.Node(accelerations, size_in=6)
    state = nengo.Node(size_in=4)  # angles and velocities
    controller = nengo.Node(size_in=2)
    integrator = nengo.LinearFilter([1], [1, 0])
    nengo.Connection(arm, state[2:], synapse=integrator)
    nengo.Connection(state[2:], state[:2], synapse=integrator)
    nengo.Connection(state, arm[:4], synapse=None)
    nengo.Connection(controller, arm[4:], synapse=None)
    nengo.Connection(target, controller, transform=STIFFNESS, synapse=None)
    nengo.Connection(state[:2], controller, transform=-STIFFNESS, synapse=None)
    nengo.Connection(state[2:], controller, transform=-DAMPING, synapse=None)

    learning = nengo.Node(lambda t, x: x if t > CYCLE else 0 * x, size_in=2)
    adaptive = nengo.Ensemble(1000, dimensions=2, radius=1.8)
    nengo.Connection(state[:2], adaptive)
    learned = nengo.Connection(
        adaptive,
        arm[4:],
        function=lambda x: [0, 0],
        learning_rule_type=nengo.PES(1e-4),
    )
    nengo.Connection(controller, learning, transform=-1)
    nengo.Connection(learning, learned.learning_rule, synapse=None)
    angles = nengo.Probe(state[:2])

# %%
# Nothing is learned in the first cycle of the four targets, to see the arm without adaptation.

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(8 * CYCLE)

path = hand(sim.data[angles])
goals = np.tile(np.repeat(hand(TARGETS), int(PERIOD * 1000), axis=0), (8, 1))
distance = np.linalg.norm(path - goals, axis=1)
missed = 100 * distance.reshape(8, 4, -1)[:, :, -200:].mean(axis=2)  # at the end of each reach
print(f"The hand stops {missed[0].mean():.1f} cm from targets, later {missed[-1].mean():.1f} cm.")

cycle = int(CYCLE * 1000)
figure, (left, right) = plt.subplots(1, 2, width_ratios=[1, 1.2])
left.plot(*path[500:cycle].T, color="C1", label="before")
left.plot(*path[-cycle:].T, color="C0", label="after")
left.plot(*hand(TARGETS).T, "o", color="C2", markersize=10, label="targets")
left.set(xlabel="x (m)", ylabel="y (m)", aspect="equal")
left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, columnspacing=1)
right.plot(PERIOD * (1 + np.arange(missed.size)), missed.ravel(), "o-", color="C0")
right.axvspan(0, CYCLE, color="C1", alpha=0.15)
right.text(CYCLE + 1, 1.02 * missed.max(), "learning begins at 6 s")
right.set(xlabel="time (s)", ylabel="distance at the end of a reach (cm)", xlim=(0, 8 * CYCLE))
right.set_ylim(0, None)
plt.show()
