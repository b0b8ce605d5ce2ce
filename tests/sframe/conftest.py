"""Lets the tests here import their helpers (sframe_peers) by name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
