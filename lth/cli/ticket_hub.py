"""`lth ticket push` and `lth ticket pull`: tickets on the Hugging Face hub."""

from pathlib import Path

from lth.cli.options import Flag


def push(
    file: Path,
    repo: str,
    /,
    *,
    private: Flag = False,
    revision: str | None = None,
    message: str | None = None,
    license: str | None = None,
    model: str | None = None,
) -> int:
    """Upload a ticket to the Hugging Face hub, with a card, plain weights and plain masks.

        lth ticket push FILE OWNER/NAME --private
        lth ticket push FILE OWNER/NAME --revision level-3 --license mit

    The card is made from the ticket: what it keeps, what it reached beside its controls, its derivation. The token is
    that of `hf auth login` or of HF_TOKEN; HF_ENDPOINT names another server.

    Args:
        file: a .ticket.safetensors file.
        repo: OWNER/NAME; it is created where it is missing.
        private: nobody else may see it; a public repository that is there already is refused.
        revision: the branch, created where it is missing [default: main].
        message: of the commit.
        license: the licence's identifier for the card, such as mit; without it the card says nothing of one.
        model: package.module:function of the model, where it is none of lth's and starting weights must be drawn again.
    """
    from lth.launch.ticket_hub import push_ticket
    from lth.models import resolve_factory

    factory = None if model is None else resolve_factory(model)
    address = push_ticket(
        file, repo, private=private, revision=revision, message=message, license=license, model=factory
    )
    print(f"Pushed     {address}")
    return 0


def pull(repo: str, /, *, file: str | None = None, out: Path = Path(".")) -> int:
    """Download a ticket from the Hugging Face hub, and check it as `lth ticket verify` does.

        lth ticket pull OWNER/NAME
        lth ticket pull OWNER/NAME@REVISION --file NAME --out tickets

    Args:
        repo: OWNER/NAME, with a branch, tag or commit as OWNER/NAME@REVISION.
        file: which ticket of the repository, where it holds several.
        out: the folder to put it in.
    """
    from lth.launch.ticket_hub import pull_ticket

    path = pull_ticket(repo, file, out, say=print)
    print(f"Wrote      {path}")
    return 0
