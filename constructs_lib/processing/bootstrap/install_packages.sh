#!/bin/bash
# Installs Python packages on a machine of a cluster: all of them, as pinned, or none, and then the machine does not start.
# Usage: install_packages.sh ARCHIVE SHA256 PYTHON TARGET
#   ARCHIVE  s3:// address of a zip with requirements.txt and the wheels that it names
#   SHA256   of the archive
#   PYTHON   interpreter that jobs run on
#   TARGET   folder that jobs find the packages in; it appears whole or not at all
set -euo pipefail

if [[ $# -ne 4 ]]; then
  echo "usage: $0 ARCHIVE SHA256 PYTHON TARGET" >&2
  exit 64
fi
archive="$1" sha256="$2" python="$3" target="$4"

if [[ -e "$target" ]]; then
  echo "$target is there already: the cluster runs this action twice" >&2
  exit 65
fi

work="$(mktemp -d)"
trap 'rm -rf -- "$work"' EXIT

aws s3 cp --only-show-errors "$archive" "$work/packages.zip"
echo "$sha256  $work/packages.zip" | sha256sum --check --quiet -
"$python" -m zipfile -e "$work/packages.zip" "$work/wheels"
# No index: what is not in the archive is not installed. No dependency that is not listed, no wheel without its hash.
"$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --require-hashes --no-compile \
  --find-links "$work/wheels" --target "$work/installed" --requirement "$work/wheels/requirements.txt"

parent="$(dirname -- "$target")"
if [[ -w "$parent" ]]; then
  as_root=()
else
  as_root=(sudo)
fi
"${as_root[@]}" mkdir -p -- "$parent"
staged="$(dirname -- "$target")/.$(basename -- "$target").$$"
"${as_root[@]}" cp -R -- "$work/installed" "$staged"
"${as_root[@]}" chmod -R a+rX -- "$staged"
"${as_root[@]}" mv -T -- "$staged" "$target"
