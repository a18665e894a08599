"""`python -m nunatak_kv`: the command."""

import sys

from .command import main

sys.exit(main())
