"""`python -m morula.gateway.openapi`: prints the API's own description, for docs/openapi.json."""

import json
import sys

from morula.gateway.app import bare_app


def main() -> None:
    """The same text for the same code."""
    json.dump(bare_app().openapi(), sys.stdout, indent=1, sort_keys=True, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
