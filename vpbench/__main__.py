"""`python -m vpbench VERB` is `vpbench VERB`."""

import sys

from vpbench.cli.main import main

sys.exit(main())
