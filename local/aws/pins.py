"""Rewrites pins.json after somebody has read the changed MiniStack functions: `python -m local.aws.pins`."""

from __future__ import annotations

import json
import os

from local.aws import seam


def main() -> None:
    """Pin every function that the adapter touches, as it is installed now."""
    os.environ.setdefault("AUTH", "true")
    from local.aws import server

    server.register()
    seam.PINS.write_text(json.dumps(seam.fingerprints(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
