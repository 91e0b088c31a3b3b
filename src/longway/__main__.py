"""``python -m longway`` is ``longway``."""

from longway.cli import main

if __name__ == "__main__":
    main()
