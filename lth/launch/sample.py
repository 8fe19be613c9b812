"""Text from a language model of a study: of a finished training, or of the newest snapshot of one that goes on."""

from dataclasses import dataclass

from lth.analysis.points import Point
from lth.lineage import Reader, Store, Trained
from lth.lineage.journal import snapshot_paths
from lth.lineage.reader import tied
from lth.lineage.text import prompt_ids, text_after
from lth.sparsity import State
from lth.studies.prepare import Study
from lth.training import snapshot_from_bytes


@dataclass(frozen=True, slots=True)
class Sample:
    """What a network wrote.

    Attributes:
        text: the prompt, and what follows it.
        words: whose text it is.
        is_finished: whether the training is.
    """

    text: str
    words: str
    is_finished: bool


def sample_text(
    prepared: Study,
    store: Store,
    prompt: str,
    *,
    arm: str | None = None,
    replicate: int = 0,
    num_tokens: int = 200,
    temperature: float = 0.8,
    top_k: int | None = 200,
    seed: int = 0,
) -> Sample:
    """Return a prompt and what a network of a study makes of it.

    Args:
        prepared: the study.
        store: where its results are.
        prompt: the text that it goes on from.
        arm: whose network, at the last place where its training is finished, or else begun; by default the first arm's.
        replicate: which one.
        num_tokens: how many follow.
        temperature: what logits are divided by; 0 takes the most likely token.
        top_k: draw among so many of the most likely tokens; None among all.
        seed: of the draws.
    Raises:
        ValueError: if the study's data have no tokenizer, or there is no such network yet.
    """
    data = prepared.sources.data[prepared.subject.data.digest]
    prompt_ids(data, prompt)
    reader = Reader(store, prepared.sources)
    point, step, state = _network(prepared, reader, arm, replicate)
    assert isinstance(point.job, Trained)
    module = reader.module(point.job.model)
    module.load_state_dict(state)
    text = text_after(module, data, prompt, num_tokens, temperature=temperature, top_k=top_k, seed=seed)
    return Sample(text, f"step {step:,}, {point_words(point)}", step == point.job.training.steps)


def point_words(point: Point) -> str:
    """Return whose network it is: `ticket, level 3, replicate 0`."""
    place = [f"{axis.replace('_', ' ')} {value}" for axis, value in point.at.items() if axis != "density"]
    return ", ".join([point.arm, *place, f"replicate {point.replicate}"])


def _network(prepared: Study, reader: Reader, arm: str | None, replicate: int) -> tuple[Point, int, State]:
    """Return the last point of an arm whose training is finished, or else begun, with its steps and its weights."""
    trained = [point for point in prepared.points if isinstance(point.job, Trained)]
    arms = list(dict.fromkeys(point.arm for point in trained))
    arm = arm or (arms[0] if arms else "")
    fitting = [each for each in trained if each.arm == arm and each.replicate == replicate]
    for point in reversed(fitting):
        assert isinstance(point.job, Trained)
        if reader.store.has(point.job):
            return point, point.job.training.steps, reader.weights(point.job)
    for point in reversed(fitting):
        found = _begun(point, reader)
        if found is not None:
            return point, *found
    raise ValueError(
        f"the study {prepared.id} has no network of arm {arm!r} and replicate {replicate}, finished or begun: its arms "
        f"are {', '.join(arms) or 'none that are trained'}; run the study first"
    )


def _begun(point: Point, reader: Reader) -> tuple[int, State] | None:
    """Return the step and the weights in the newest snapshot of a training; None if it has none."""
    job = point.job
    assert isinstance(job, Trained)
    for path in snapshot_paths(reader.store, job.key):
        try:
            snapshot = snapshot_from_bytes(path.read_bytes(), str(path))
        except FileNotFoundError:
            continue
        return snapshot.step, tied(snapshot.part("state"), reader.skeleton(job.model))
    return None
