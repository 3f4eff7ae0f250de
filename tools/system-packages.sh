#!/bin/sh
# Install what pip cannot: venv ("python"), FluidSynth with a soundfont ("sound"), or a browser for the tests ("browser").
# Where the system's package manager may not be used, say what to install and go on.
set -eu

case "${1:-}" in
python)
    # Debian keeps venv apart from its own python3; others bring it along
    "${PYTHON:-python3}" -c "import ensurepip, venv" 2>/dev/null && exit 0
    packages="python3-venv"
    instruction="Python's venv module is needed:  sudo apt-get install python3-venv"
    ;;
sound)
    packages="libfluidsynth3 fluid-soundfont-gm"
    instruction="FluidSynth and a General MIDI soundfont are needed:
  Debian, Ubuntu:  sudo apt-get install libfluidsynth3 fluid-soundfont-gm
  Fedora:          sudo dnf install fluidsynth-libs fluid-soundfont-gm
  macOS:           brew install fluid-synth, then put FluidR3_GM.sf2 into ~/.local/share/soundfonts"
    ;;
browser)
    packages="chromium chromium-driver"
    instruction="Chromium and its driver are needed by the report's browser tests, which are skipped without them:
  Debian:  sudo apt-get install chromium chromium-driver"
    ;;
*)
    echo "usage: $0 python|sound|browser" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "$instruction" >&2
    exit 0
fi
missing=""
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "$instruction" >&2
fi
