"""`python -m auricle`: the command line, for when the script `auricle` is not on the path."""

import sys

from auricle.cli import main

if __name__ == "__main__":
    sys.exit(main())
