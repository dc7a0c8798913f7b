"""`python -m seglib.cli` is the `seglib` command."""

import sys

from seglib.cli import main

sys.exit(main())
