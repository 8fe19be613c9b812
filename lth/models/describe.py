"""From a factory and the facts of the data to a spec, with everything checked that can be."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from lth.config.arguments import check_arguments, missing_from, parameters_of
from lth.models.check import check_model
from lth.models.fit import check_fit
from lth.models.lazy import call_of, is_unfinished, usual_call
from lth.models.spec import Factory, ModelSpec, make_model, plain
from lth.models.structure import draw_digest, named_tensors, structure_digest
from lth.models.table import MODELS, split_model
from lth.tasks.task import Batch, Task


def describe(
    name: str,
    factory: Factory,
    data_facts: Mapping[str, Any],
    version: str = "1",
    arguments: Mapping[str, Any] | None = None,
    *,
    task: Task | None = None,
    batch: Batch | None = None,
) -> ModelSpec:
    """Return the spec of the model that a factory makes for such data.

    A factory is given those facts that its signature has (`input_shape`, `num_classes`, `num_targets`, `vocabulary`,
    `block`), and the user's arguments, which go before. For regression `num_classes` is the number of targets. The
    structure digest catches most edits of a user's module that change its layers, the draw digest those of its
    initialisation; an edit that changes only what `forward` does needs a new `version`.

    Args:
        name: arguments may stand behind it, as in `gpt2:n_embd=64,n_layer=2`.
        factory: what makes the module.
        data_facts: those of `Data.facts`.
        version: raised by the user.
        arguments: further arguments of the factory.
        task: with it and a batch, the model is checked by `check_model`.
        batch: some real examples.
    Raises:
        ValueError: if the factory takes no such argument, fails, returns no module or one that does not fit, or makes
            other weights at each call.
    """
    name, written = split_model(name)
    chosen = written | dict(arguments or {})
    check_arguments("model", name, factory, chosen, reserved=("seed",))
    accepted, _ = parameters_of(factory)
    offered = {"num_classes": data_facts["num_targets"]} if "num_targets" in data_facts else {}
    offered |= data_facts
    given = {key: plain(value) for key, value in offered.items() if key in accepted and key != "seed"}
    given |= MODELS[name].arguments if name in MODELS else {}
    spec = ModelSpec(name=name, arguments=given | plain(chosen), version=version)
    missing = missing_from(factory, {*spec.arguments, "seed"})
    if missing:
        raise ValueError(
            f"the model {name!r} needs {', '.join(missing)}, which the data do not have (they have "
            f"{', '.join(offered) or 'no facts'}): choose other data, or give it as {name}:{missing[0]}=VALUE"
        )
    module = make_model(spec, factory, seed=0)
    check_fit(module, data_facts, "" if task is None else task.name)
    if is_unfinished(module):
        call = usual_call(data_facts) if task is None or batch is None else call_of(task, batch)
        if call is None:
            raise ValueError(f"the model {name!r} infers sizes at its first call: give `describe` a task and a batch")
        spec = spec.model_copy(update={"first_call": call})
        module = make_model(spec, factory, seed=0)
    is_ours = name in MODELS and name not in MODELS.own()
    if not is_ours:
        _check_draws(name, module, make_model(spec, factory, seed=0))
    digests = {"structure": structure_digest(module), "draw": "" if is_ours else draw_digest(module)}
    if task is not None and batch is not None:
        check_model(name, module, task, batch)
    return spec.model_copy(update=digests)


def _check_draws(name: str, first: nn.Module, second: nn.Module) -> None:
    if structure_digest(first) == structure_digest(second) and draw_digest(first) == draw_digest(second):
        return
    others = dict(named_tensors(second))
    differing = next(
        (key for key, value in named_tensors(first) if key not in others or not value.equal(others[key])), "its layers"
    )
    raise ValueError(
        f"the model {name!r} differs each time that it is made, whatever the seed ({differing}): give its factory an "
        "argument `seed`, and seed your own generator with it, as numpy.random.default_rng(seed)"
    )
