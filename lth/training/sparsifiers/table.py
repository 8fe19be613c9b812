"""The methods by name."""

from lth.training.sparsifiers.gradual import gradual
from lth.training.sparsifiers.method import Method
from lth.training.sparsifiers.noise import noise
from lth.training.sparsifiers.rigl import rigl
from lth.training.sparsifiers.soft import soft
from lth.training.sparsifiers.sparse_evolution import sparse_evolution

SPARSIFIERS: dict[str, Method] = {
    "gradual": Method(gradual),
    "set": Method(sparse_evolution),
    "rigl": Method(rigl, grows_by_gradient=True),
    "soft": Method(soft),
    "noise": Method(noise),
}
