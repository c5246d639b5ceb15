"""Question answering with nengo-spa.

A sentence is held in memory as one vector: red with circle, blue with square. The network is then
asked for the colour of a shape, or the shape of a colour, and answers by unbinding the vector.
"""

import matplotlib.pyplot as plt
import nengo
import nengo_spa as spa
import numpy as np

import nengo_jit

# %%
# nengo-spa builds the ensembles. While the memory is filled, the sentence is shown; then come
# four questions, for half a second each.

DIMENSIONS = 64
ANSWERS = {"CIRCLE": "RED", "BLUE": "SQUARE", "SQUARE": "BLUE", "RED": "CIRCLE"}
SHOWN = 0.5  # seconds

vocabulary = spa.Vocabulary(DIMENSIONS, pointer_gen=np.random.RandomState(0))
vocabulary.populate("; ".join(ANSWERS))
nothing = np.zeros(DIMENSIONS)
sentence = vocabulary.parse("RED * CIRCLE + BLUE * SQUARE").v
questions = [vocabulary[word].v for word in ANSWERS]

with spa.Network(seed=0) as model:
    scene = nengo.Node(nengo.processes.Piecewise({0: sentence, SHOWN: nothing}))
    shown = nengo.Node(nengo.processes.PresentInput([nothing, *questions], SHOWN))
    memory = spa.State(vocabulary, feedback=1.0, feedback_synapse=0.1)
    question = spa.State(vocabulary)
    answer = spa.State(vocabulary)
    nengo.Connection(scene, memory.input, transform=0.3)
    nengo.Connection(shown, question.input)
    memory * ~question >> answer
    output = nengo.Probe(answer.output, synapse=0.03)

with nengo_jit.Simulator(model, progress_bar=False) as sim:
    sim.run(SHOWN * (1 + len(ANSWERS)))

# %%
# How similar is the output to each word? The one that is most similar is the answer.

words = sorted(ANSWERS)
similarity = sim.data[output] @ np.array([vocabulary[word].v for word in words]).T
periods = similarity.reshape(1 + len(ANSWERS), -1, len(words))[1:]
answers = [words[each] for each in periods[:, 200:].mean(axis=1).argmax(axis=1)]
for asked, answered in zip(ANSWERS, answers):
    print(f"{asked}: {answered}")

figure, axes = plt.subplots()
for index, word in enumerate(words):
    axes.plot(sim.trange(), similarity[:, index], label=word.lower())
for index, (asked, answered) in enumerate(zip(ANSWERS, answers)):
    middle = SHOWN * (index + 1.5)
    axes.axvline(SHOWN * (index + 1), color="0.5", linewidth=0.8)
    axes.text(middle, 1.2, f"{asked.lower()}?", ha="center")
    axes.text(middle, 1.1, answered.lower(), ha="center", color=f"C{words.index(answered)}")
axes.text(SHOWN / 2, 1.2, "sentence", ha="center")
axes.set(xlabel="time (s)", ylabel="similarity", xlim=(0, 2.5), ylim=(-0.4, 1.3))
axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)
plt.show()
