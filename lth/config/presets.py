"""Presets: one function per published experiment, each returning a whole configuration.

A variant is `preset().model_copy(update={...})`, or flags on the command line.
"""

from collections.abc import Callable

from lth.config.find_ticket import FindTicket


def lenet_on_digits() -> FindTicket:
    """LeNet-300-100 on scikit-learn's digits: the whole method in a minute."""
    return FindTicket()


def frankle_carbin_2019_lenet(data: str = "mnist") -> FindTicket:
    """LeNet-300-100 on MNIST as in Section 2 of Frankle & Carbin 2019, arXiv:1803.03635 (Figure 2, 5 trials).

    Layer-wise pruning by 20 % a level, 10 % in the output layer; Adam at 1.2e-3, batches of 60, 50,000 iterations.
    """
    return FindTicket(data=data, levels=21, duration="50000it", validation=5000)


def frankle_carbin_2019_lenet_on_fashion() -> FindTicket:
    """The same protocol on Fashion-MNIST."""
    return frankle_carbin_2019_lenet("fashion-mnist")


PRESETS: dict[tuple[str, str], Callable[[], FindTicket]] = {
    ("lenet-300-100", "digits"): lenet_on_digits,
    ("lenet-300-100", "mnist"): frankle_carbin_2019_lenet,
    ("lenet-300-100", "fashion-mnist"): frankle_carbin_2019_lenet_on_fashion,
}


def preset(model: str, data: str) -> FindTicket:
    """The preset of a model and data set; the general defaults where there is none."""
    make = PRESETS.get((model, data))
    return make() if make else FindTicket(model=model, data=data)
