"""`python -m lth` is `lth`."""

from lth.cli.main import main

if __name__ == "__main__":
    main()
