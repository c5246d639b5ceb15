"""What users choose for a batch: seeds, parameters and inputs of its members."""

from nengo_jit.batching.choice import Batch, Parameters
from nengo_jit.batching.inputs import Members, outputs_of
from nengo_jit.batching.variation import Variation, varied

__all__ = ["Batch", "Members", "Parameters", "Variation", "outputs_of", "varied"]
