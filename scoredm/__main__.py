"""The numbers of a screen on the command line: `python -m scoredm "forward?lam=5&n=500"` prints them as JSON."""

import sys

from scoredm.commandline import main

sys.exit(main(sys.argv[1:]))
