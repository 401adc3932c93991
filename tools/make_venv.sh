#!/bin/sh
# Makes a virtual environment with the first Python that is new enough.
#   sh tools/make_venv.sh DIRECTORY
# $PYTHON names one to use; otherwise python3 is tried first, then the newest by name.
set -eu
venv=$1

new_enough() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
    candidates=$PYTHON
else
    candidates="python3 python3.13 python3.12 python3.11 python3.14 python"
fi

found=""
for candidate in $candidates; do
    if new_enough "$candidate"; then
        found=$candidate
        break
    fi
done

if [ -z "$found" ]; then
    echo "riverrun needs Python 3.11 or newer; none of these is: $candidates" >&2
    echo "  try: apt-get install python3.11 python3.11-venv (Debian, Ubuntu), brew install python@3.12 (macOS)," >&2
    echo "       or name one: make setup PYTHON=/path/to/python3.12" >&2
    exit 1
fi

version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

if ! "$found" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "Python $version ($found) cannot make virtual environments: its venv package is not installed" >&2
    echo "  try: apt-get install python$version-venv (Debian, Ubuntu), or name another: make setup PYTHON=..." >&2
    exit 1
fi

echo "making $venv with Python $version ($found)"
"$found" -m venv --clear "$venv"
