"""How many random texts the tests try: few in the gate, many by `python -m tests.faults`."""

import os

LINKS = int(os.environ.get("FAULTS_LINKS", "250"))  # read without a page
TEXTS = int(os.environ.get("FAULTS_TEXTS", "100"))  # of each other kind
PAGES = int(os.environ.get("FAULTS_PAGES", "20"))  # links that are opened
