"""How many random texts the tests try: few in the gate, many by `python -m tests.faults`."""

import os

LINKS = int(os.environ.get("FAULTS_LINKS", "120"))  # read without a page
TEXTS = int(os.environ.get("FAULTS_TEXTS", "60"))  # of each other kind
PAGES = int(os.environ.get("FAULTS_PAGES", "12"))  # links that are opened
