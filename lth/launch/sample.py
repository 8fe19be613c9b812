"""Text from a language model of a study."""

from dataclasses import dataclass

from lth.launch.network import network_of
from lth.lineage import Store
from lth.lineage.text import prompt_ids, text_after
from lth.studies.prepare import Study


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
    network = network_of(prepared, store, arm, replicate)
    text = text_after(network.module, data, prompt, num_tokens, temperature=temperature, top_k=top_k, seed=seed)
    return Sample(text, network.words, network.is_finished)
