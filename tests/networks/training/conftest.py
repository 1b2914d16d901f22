"""Training needs torch: where it is not installed nothing is collected, and where all must be there it fails."""

import os
from importlib.util import find_spec

if find_spec("torch") is None and os.environ.get("MORULA_REQUIRE") != "all":
    collect_ignore_glob = ["test_*.py"]
