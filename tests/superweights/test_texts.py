"""Perplexity by protocol: against direct computations on a tiny random Llama."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lth.config import SettingsError
from lth.superweights.protocol import Protocol, joined
from lth.superweights.texts import block_losses, bytes_scored, passage, perplexity_of
from lth.tasks import LanguageModel
from lth.tasks.token_targets import IGNORED

transformers = pytest.importorskip("transformers")

VOCABULARY = 41
IDS = np.random.default_rng(0).integers(0, VOCABULARY, 103)


@pytest.fixture(scope="module")
def llama() -> torch.nn.Module:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=128, initializer_range=0.5, use_cache=False,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


@torch.no_grad()
def loss_of(module: torch.nn.Module, context: np.ndarray, token: int) -> float:
    """The direct way: one forward pass for one token."""
    logits = module(torch.from_numpy(context)[None]).logits[0, -1]
    return float(F.cross_entropy(logits, torch.tensor(token)))


def test_blocks_score_each_token_from_those_before_it_in_its_block(llama: torch.nn.Module) -> None:
    nats, counts = block_losses(llama, Protocol.parse("blocks:16").examples(IDS))
    assert counts.tolist() == [15] * 6  # 103 tokens: the last 7 are dropped, the first of each block is context
    for block in (0, 5):
        ids = IDS[16 * block : 16 * block + 16]
        wanted = sum(loss_of(llama, ids[:place], ids[place]) for place in range(1, 16))
        assert nats[block] == pytest.approx(wanted, rel=1e-5)


def test_a_bos_token_gives_the_first_of_each_block_a_context(llama: torch.nn.Module) -> None:
    examples = Protocol.parse("blocks:16", bos=True).examples(IDS, bos=3)
    nats, counts = block_losses(llama, examples)
    assert counts.tolist() == [16] * 6
    ids = np.concatenate([[3], IDS[:16]])
    wanted = sum(loss_of(llama, ids[:place], ids[place]) for place in range(1, 17))
    assert nats[0] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("context", "stride"), [(16, 4), (16, 15), (20, 7), (200, 50)])
def test_a_sliding_window_scores_each_token_once(llama: torch.nn.Module, context: int, stride: int) -> None:
    examples = Protocol.parse(f"sliding:{context}:{stride}").examples(IDS)
    nats, counts = block_losses(llama, examples)
    assert counts.sum() == len(IDS) - 1
    total, done, start = 0.0, 1, 0  # the loop of the documentation of transformers, a token at a time
    while done < len(IDS):
        end = min(start + context, len(IDS))
        total += sum(loss_of(llama, IDS[start:place], IDS[place]) for place in range(done, end))
        done, start = end, start + stride
    assert nats.sum() == pytest.approx(total, rel=1e-5)


def test_losses_are_those_of_the_task(llama: torch.nn.Module) -> None:
    examples, task = Protocol.parse("sliding:16:4").examples(IDS), LanguageModel(VOCABULARY)
    batch = examples.take(torch.arange(len(examples)), torch.device("cpu"))
    with torch.no_grad():
        values = task.read(task.tally(task.forward(llama, batch), batch))
    nats, counts = block_losses(llama, examples)
    assert perplexity_of(nats, counts)["perplexity"] == pytest.approx(values["perplexity"], rel=1e-5)


def test_what_is_seen_is_what_is_scored(llama: torch.nn.Module) -> None:
    seen: dict[int, float] = {}

    def see(block: int, logits: torch.Tensor, targets: torch.Tensor) -> None:
        seen[block] = seen.get(block, 0.0) + float(F.cross_entropy(logits, targets, reduction="sum"))

    nats, _ = block_losses(llama, Protocol.parse("sliding:16:4").examples(IDS), see=see)
    assert [seen[block] for block in range(len(nats))] == pytest.approx(nats.tolist(), rel=1e-5)


def test_shuffled_lines_fill_their_blocks_and_follow_the_seed() -> None:
    text = "".join(f"line {number}\n\n" for number in range(200))

    def encode(line: str) -> list[int]:
        return list(line.encode())

    some = Protocol.parse("lines:16x5").ids(text, encode)
    assert len(some) == 80
    assert np.array_equal(some, Protocol.parse("lines:16x5").ids(text, encode))
    other = Protocol.parse("lines:16x5", seed=1).ids(text, encode)
    assert not np.array_equal(some, other)
    lines = bytes(some.tolist()).decode().split("\n")[:-1]
    assert set(lines) <= set(text.split("\n"))
    with pytest.raises(SettingsError, match="too few"):
        Protocol.parse("lines:16x500").examples(Protocol.parse("lines:16x500").ids(text, encode))


def test_rows_are_joined_as_published_numbers_have_it() -> None:
    text = " \n = Title = \n \n Words .\u2028More \n"
    assert joined(text, "rows") == "\n\n = Title = \n\n\n\n\n Words .\u2028More \n"
    assert joined(text, "file") == text
    assert "; lines joined by two newlines)" in Protocol.parse("blocks:16", join="rows").words(90, 6)


def test_bytes_are_those_of_the_scored_text() -> None:
    text = "zwölf Boxkämpfer jagen Viktor über den großen Deich"
    ids = np.frombuffer(text.encode("utf-32-le"), dtype=np.int32).astype(np.int64)  # a token a character
    found = Protocol.parse("sliding:8:3").examples(ids)

    def decode(some: object) -> str:
        return "".join(map(chr, some))  # type: ignore[call-overload]

    wanted = len(text[1:].encode())
    assert bytes_scored(found.tensors["x"], found.tensors["y"], decode) == wanted
    made = passage("a", ids, Protocol.parse("sliding:8:3"), vocabulary=999, text_digest="0", decode=decode)
    assert made.facts["bytes_per_token"] == wanted / (len(text) - 1)
    values = perplexity_of(np.array([2.0]), np.array([1]), 4.0)
    assert values["bits_per_byte"] == pytest.approx(2 / math.log(2) / 4)


def test_the_digest_and_the_line_tell_protocols_apart() -> None:
    names = {"blocks:16": {}, "blocks:8": {}, "sliding:16:8": {}, "sliding:16:4": {}}
    settings = [(name, fields) for name, fields in names.items()] + [
        ("blocks:16", {"tokens": 64}), ("blocks:16", {"bos": True}), ("lines:16x2", {}),
    ]  # fmt: skip
    made = [
        passage("text", IDS, Protocol.parse(name, **fields), vocabulary=VOCABULARY, text_digest="ab" * 32, bos=3)
        for name, fields in settings
    ]
    assert len({each.words for each in made}) == len(settings)
    assert len({each.examples.digest for each in made}) >= 5
    assert made[0].words == (
        "text (SHA-256 abababababab), blocks:16 (blocks of 16 tokens without overlap, a shorter last one dropped; no "
        "BOS token; text as it stands): 90 tokens scored in 6 blocks"
    )
    assert all(Protocol.parse(name).name == name for name in [*names, "lines:512x100"])


def test_lines_are_as_many_as_their_name_says() -> None:
    with pytest.raises(SettingsError, match="fills its blocks with 51,200 tokens; 20,480 are too few"):
        Protocol.parse("lines:512x100", tokens=20_480)
    assert Protocol.parse("lines:16x5", tokens=80).ids("a line\n" * 99, lambda line: [1] * len(line)).shape == (80,)


def test_a_wrong_token_is_named() -> None:
    with pytest.raises(SettingsError, match="token -1 is none of this model: ids are 0 to 8"):
        passage("a", np.array([1, 2, -1, 5]), Protocol.parse("blocks:2"), vocabulary=9, text_digest="0")


@pytest.mark.parametrize("text", ["block:512", "blocks:1", "sliding:16:16", "sliding:16:0", "lines:16", "lines:16x0"])
def test_a_wrong_protocol_gets_one_line(text: str) -> None:
    with pytest.raises(SettingsError, match="protocol"):
        Protocol.parse(text)


def test_what_does_not_fit_gets_one_line() -> None:
    with pytest.raises(SettingsError, match="too few for blocks:512"):
        Protocol.parse("blocks:512").examples(IDS)
    with pytest.raises(SettingsError, match="no BOS token"):
        Protocol.parse("blocks:8", bos=True).examples(IDS)
    with pytest.raises(SettingsError, match="none of this model: ids are 0 to 9"):
        passage("a", IDS, Protocol.parse("blocks:8"), vocabulary=10, text_digest="")
    with pytest.raises(ValueError, match="logits for each token are needed"):
        block_losses(Encoder(), Protocol.parse("blocks:8").examples(IDS))


class Encoder(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float().mean(dim=1, keepdim=True)


def test_targets_that_do_not_count_are_ignored() -> None:
    x = Protocol.parse("blocks:16").examples(IDS).tensors
    assert (x["y"][:, -1] == IGNORED).all()
    assert torch.equal(x["y"][:, :-1], x["x"][:, 1:])
