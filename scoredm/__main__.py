"""The numbers of a screen on the command line: `python -m scoredm "forward?lam=5&n=500"` prints them as JSON."""

import os
import sys

# Before torch is loaded: its operations are small here, and a second thread slows them down.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from scoredm.commandline import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
