"""Everything that imports Streamlit."""

import os

# One thread for each of torch's operations, read when it loads: they are small, and readers and runs share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
