"""Run the tests of faults in their long version.

python -m tests.faults
python -m tests.faults --links 10000 --texts 2000 --pages 500
"""

import argparse
import os
import sys

import pytest

FILES = ["tests/test_fuzz.py", "tests/test_faults.py", "tests/browser/test_faults.py"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Run the tests of faults in their long version.")
    parser.add_argument("--links", type=int, default=10_000, help="random links that are read")
    parser.add_argument("--texts", type=int, default=2_000, help="random texts of each other kind")
    parser.add_argument("--pages", type=int, default=300, help="random links that are opened as pages")
    parser.add_argument("rest", nargs="*", help="for pytest, such as: -- -k lesson")
    asked = parser.parse_args()
    os.environ |= {f"FAULTS_{name.upper()}": str(getattr(asked, name)) for name in ("links", "texts", "pages")}
    return int(pytest.main(["-n0", "--thorough", *FILES, *asked.rest]))


sys.exit(main())
