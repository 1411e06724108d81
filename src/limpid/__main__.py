"""``python -m limpid`` is ``limpid``."""

from limpid.cli.main import main

if __name__ == "__main__":
    main()
