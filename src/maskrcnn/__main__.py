"""`python -m maskrcnn` is the command `maskrcnn`."""

from .cli.main import main

if __name__ == "__main__":
    main()
