"""Small commands in `.venv/bin` that start the checkout's own tools: lake, cdk, node, npm, pyright."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from tools.node import NODE, NPM

JAVA_SHIM = """\
#!/bin/sh
# Spark asks for a module that this Java does not have (and does not need): drop that one flag.
for argument; do
    shift
    [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec "{java}" "$@"
"""

_SHELL = """\
#!/bin/sh
PATH="{bin}:$PATH" JSII_NODE="{node}" exec "{node}" "{program}" "$@"
"""

# A path with spaces, or a long one, does not fit a `#!` line: the shell starts Python, which sees its own command as a string.
_LAKE = """\
#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import sys

from cli.main import main

sys.exit(main())
"""


def write_launchers(root: Path) -> None:
    """Write the commands, and put the checkout on its environment's import path.

    Args:
        root: The checkout.
    """
    folder = root / ".venv" / "bin"
    for name, program in {
        "cdk": root / "node_modules" / "aws-cdk" / "bin" / "cdk",
        "npm": NPM,
        "pyright": root / "node_modules" / "pyright" / "index.js",
    }.items():
        _executable(folder / name, _SHELL.format(bin=folder, node=NODE, program=program))
    node = folder / "node"
    node.unlink(missing_ok=True)
    node.symlink_to(NODE)
    _executable(folder / "lake", _LAKE.format(python=folder / "python"))
    (Path(sysconfig.get_path("purelib")) / "checkout.pth").write_text(f"{root}\n")


def write_java_shim(java: Path, *, at: Path) -> None:
    """Write a `bin/java` that starts Java for Spark.

    Args:
        java: The real Java.
        at: JAVA_HOME to make.
    """
    (at / "bin").mkdir(parents=True, exist_ok=True)
    _executable(at / "bin" / "java", JAVA_SHIM.format(java=java))


def _executable(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.chmod(0o755)
    fresh.rename(path)
