"""Tickets on the Hugging Face hub, or on a server that speaks as it does: push, pull."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lth.launch.ticket_card import ticket_card
from lth.lineage import read_ticket, verify_ticket, weights_to_bytes, write_file
from lth.models import Factory
from lth.models.check import first_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi

ENDING = ".ticket.safetensors"
PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
"""A name of a file or folder that no system reads as another place."""


def push_ticket(
    file: str | Path,
    repo: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
    license: str | None = None,
    model: Factory | None = None,
    api: "HfApi | None" = None,
) -> str:
    """Upload a ticket with a card and plain weights and masks, in one commit; return the commit's address.

    The repository gets the ticket file, `model.safetensors` (the starting weights, pruned ones at zero),
    `masks.safetensors` (boolean masks by parameter) and `README.md`; what it has under these names is replaced. It is
    created where it is missing.

    Args:
        file: a .ticket.safetensors file.
        repo: OWNER/NAME.
        private: nobody else may see it; a public repository that is there already is refused.
        revision: the branch, created where it is missing [default: main].
        message: of the commit.
        license: the identifier for the card, such as `mit`; it says nothing of a licence otherwise.
        model: makes the network, where it is none of lth's and starting weights must be drawn again.
        api: the hub's client, where another server or token is meant than the environment says.
    Raises:
        ValueError: if the file is no ticket, `huggingface_hub` is missing, or the hub refuses.
    """
    hub = api or _client()
    from huggingface_hub import CommitOperationAdd

    path = Path(file)
    ticket = read_ticket(path)
    name = _pushed_name(path)
    contents = {
        name: path.read_bytes(),
        "README.md": ticket_card(ticket, name, repo, revision, license).encode(),
        "model.safetensors": weights_to_bytes(ticket.starting_weights(model), {"format": "pt"}),
        "masks.safetensors": weights_to_bytes(ticket.masks, {"format": "pt"}),
    }
    _make_place(hub, repo, private, revision)
    with _hub_errors(repo, hub.endpoint):
        commit = hub.create_commit(
            repo,
            [CommitOperationAdd(name, content) for name, content in contents.items()],
            commit_message=message or f"Add the ticket {ticket.document['key'][:12]}",
            revision=revision,
        )
    return str(commit.commit_url)


def pull_ticket(
    repo: str,
    file: str | None = None,
    out: str | Path = ".",
    *,
    api: "HfApi | None" = None,
    say: Callable[[str], object] | None = None,
) -> Path:
    """Download a ticket, check it as `lth ticket verify` does, and return where it is.

    Only files that pass get to `out`. Nothing is unpickled, and no code of the repository is run.

    Args:
        repo: OWNER/NAME, with a branch, tag or commit as OWNER/NAME@REVISION.
        file: which ticket of the repository, where it holds several.
        out: the folder to put it in.
        api: the hub's client, where another server or token is meant than the environment says.
        say: takes a line for each thing that was checked.
    Raises:
        ValueError: if there is no such ticket, it is damaged, `huggingface_hub` is missing, or the hub does not answer.
    """
    hub = api or _client()
    name, _, revision = repo.partition("@")
    with _hub_errors(repo, hub.endpoint):
        info = hub.model_info(name, revision=revision or None)
    chosen = _chosen([each.rfilename for each in info.siblings or ()], file, repo)
    target = Path(out).expanduser() / chosen.split("/")[-1]
    with TemporaryDirectory(prefix="lth-pull-") as folder:
        with _hub_errors(repo, hub.endpoint):
            fetched = Path(hub.hf_hub_download(name, chosen, revision=info.sha, local_dir=folder))
        try:
            for line in verify_ticket(fetched):
                if say is not None:
                    say(line)
        except ValueError as error:
            reason = str(error).replace(str(fetched), chosen)
            raise ValueError(f"{repo}: {reason}; nothing was kept") from error
        content = fetched.read_bytes()
    if target.exists() and target.read_bytes() != content:
        raise ValueError(f"{target} is there already, with other content: name another folder (out, or --out)")
    write_file(target, content)
    return target


def _make_place(hub: "HfApi", repo: str, private: bool, revision: str | None) -> None:
    """Create repository and branch where they are missing.

    Raises:
        ValueError: if the repository is public and may not be, or the hub refuses.
    """
    with _hub_errors(repo, hub.endpoint):
        hub.create_repo(repo, private=private or None, exist_ok=True)
        is_exposed = private and not hub.model_info(repo).private
    if is_exposed:
        raise ValueError(f"{repo} is there already and is public: make it private on the hub, or name another one")
    if revision is not None:
        with _hub_errors(repo, hub.endpoint):
            hub.create_branch(repo, branch=revision, exist_ok=True)


def _pushed_name(path: Path) -> str:
    """Return the name in the repository: the file's own, with the ending of a ticket.

    Raises:
        ValueError: if `pull` would refuse it.
    """
    name = path.name if path.name.endswith(ENDING) else f"{path.name.removesuffix('.safetensors')}{ENDING}"
    if not PART.fullmatch(name):
        raise ValueError(f"{path.name!r} may have letters, digits and ._- alone to be a file on the hub: rename it")
    return name


def _chosen(files: Sequence[str], wanted: str | None, repo: str) -> str:
    """Return which file of a repository is pulled.

    Raises:
        ValueError: if there is none, are several, or its name is no plain path inside the repository.
    """
    tickets = sorted(name for name in files if name.endswith(ENDING))
    listed = ", ".join(map(repr, tickets))
    if not tickets:
        raise ValueError(f"{repo} holds no ticket (a file that ends in {ENDING})")
    if wanted is None and len(tickets) > 1:
        raise ValueError(f"{repo} holds {len(tickets)} tickets: name one of {listed} (file, or --file)")
    chosen = tickets[0] if wanted is None else wanted
    if chosen not in tickets:
        raise ValueError(f"{repo} holds no ticket {chosen!r}; it holds {listed}")
    if not all(PART.fullmatch(part) for part in chosen.split("/")):
        raise ValueError(f"{repo} names a file {chosen!r}, which is no plain name: it is not fetched")
    return chosen


def _client() -> "HfApi":
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise ValueError("tickets travel by `huggingface_hub`: pip install 'lth[hub]'") from error
    return HfApi(library_name="lth")


@contextmanager
def _hub_errors(repo: str, endpoint: str) -> Iterator[None]:
    """Raise whatever the client raises as one line that says what to do."""
    from huggingface_hub import errors

    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise ValueError(f"{repo}: the hub knows no such branch, tag or commit") from error
    except errors.RepositoryNotFoundError as error:
        help_ = "check the name; a private one needs a token that may see it (HF_TOKEN, or `hf auth login`)"
        raise ValueError(f"the hub shows no repository {repo}: {help_}") from error
    except Exception as error:  # whatever the network, the hub and the client's own checks raise
        raise ValueError(_reason(error, repo, endpoint)) from error


def _reason(error: Exception, repo: str, endpoint: str) -> str:
    """Return what went wrong with a request, and what to do."""
    if isinstance(error, ValueError):  # of the client itself: a name that is none, front matter that is refused
        return f"{repo}: {' '.join(str(error).split())}"
    causes = [error, *_causes(error)]
    responses = (getattr(cause, "response", None) for cause in causes)
    response: Any = next((each for each in responses if each is not None), None)
    if response is not None:
        return _answered(response, repo)
    if "Consistency check" in str(error):
        return f"{repo}: the download was cut short: pull again"
    return f"{repo}: the exchange with {endpoint} failed ({first_line(causes[-1])}): check the network, and try again"


def _causes(error: BaseException) -> list[BaseException]:
    """Return what led to an error, the first cause last."""
    return [] if error.__cause__ is None else [error.__cause__, *_causes(error.__cause__)]


def _answered(response: Any, repo: str) -> str:
    """Return what a refusal means."""
    if response.status_code == 401:
        return "the hub does not take the token: set HF_TOKEN to one that is valid, or run `hf auth login`"
    if response.status_code == 403:
        return f"the token may not do this to {repo}: it needs the right to write there"
    said = response.headers.get("X-Error-Message") or response.reason_phrase
    return f"{repo}: the hub answers {response.status_code} ({' '.join(said.split())})"
