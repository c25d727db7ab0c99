#!/bin/sh
# Prints the path of a Python 3.10 that works, or says how to get one. Rasa 3.6 runs on no newer one.

works() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 10))' >/dev/null 2>&1
}

candidates() {
    [ -n "${RASA_PYTHON:-}" ] && echo "$RASA_PYTHON"
    for name in python3.10 python3 python; do
        command -v "$name"
    done
    for folder in "${PYENV_ROOT:-$HOME/.pyenv}" "$HOME/.pyenv" "$(pyenv root 2>/dev/null)" \
        $(echo "$PATH" | tr ':' '\n' | sed -n 's|/shims/*$||p'); do
        ls -d "$folder"/versions/3.10*/bin/python3.10
    done
    UV_PYTHON_DOWNLOADS=never uv python find 3.10
    ls -d "$HOME"/.local/share/uv/python/cpython-3.10*/bin/python3.10 \
        "$HOME"/.asdf/installs/python/3.10*/bin/python3.10 \
        "$HOME"/*conda3/bin/python3.10 "$HOME"/*conda3/envs/*/bin/python3.10 \
        "$HOME"/miniforge3/bin/python3.10 "$HOME"/miniforge3/envs/*/bin/python3.10 \
        /usr/local/bin/python3.10 /opt/bin/python3.10 /opt/*/bin/python3.10 \
        /opt/homebrew/opt/python@3.10/bin/python3.10 /usr/local/opt/python@3.10/bin/python3.10
}

found=$(candidates 2>/dev/null | while IFS= read -r python; do works "$python" && echo "$python" && break; done)
if [ -n "$found" ]; then
    echo "$found"
    exit 0
fi

cat >&2 <<'HELP'
Rasa needs Python 3.10, and none was found here. One of these gets it:
  Ubuntu 22.04         apt-get install python3.10-venv
  with uv              uv python install 3.10
  with pyenv           pyenv install 3.10
  with conda           conda create --name rasa python=3.10
  macOS with Homebrew  brew install python@3.10
Debian has no package of it: take uv or pyenv there. If it lies in another place: make rasa RASA_PYTHON=/path/to/python3.10
Nothing else needs it: without Rasa the bot understands messages with its own classifier.
HELP
exit 2
