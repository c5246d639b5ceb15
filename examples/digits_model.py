"""The network of digits.py as a model file, for the command line and for nengo-gui.

nengo-jit run examples/digits_model.py --time 2 --plot digits.png
"""

from digits import build_network, load

_train, _held_out = load()
model = build_network(_train, _held_out.images[:10])
