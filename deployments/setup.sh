# Make or bring up to date the environment in .venv, with these extras of pyproject.toml: `sh setup.sh flows,dev`.
# With uv if it is there, else with pip. PYTHON is the interpreter to make it with.
set -e
extras=$1
python=.venv/bin/python

"${PYTHON:=python3}" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
  { echo "Python 3.10 or newer is needed: make PYTHON=/path/to/python3" >&2; exit 1; }

unreachable() {
  echo >&2
  echo "The Python packages could not be installed; what $1 said of it is above. Mostly the package index can't be reached:" >&2
  echo "look at the network, at a proxy (HTTPS_PROXY), at its certificates (SSL_CERT_FILE, PIP_CERT) and at an index of your own (UV_DEFAULT_INDEX, PIP_INDEX_URL)." >&2
  exit 1
}

echo "Python packages for $extras, into .venv"
if command -v uv >/dev/null; then
  [ -x $python ] || uv venv --quiet --python "$PYTHON" .venv
  # A line for each of a hundred packages is too much; the large ones, the steps and what is wrong are shown.
  { uv pip install --python $python --compile-bytecode -c constraints.txt -e ".[$extras]" 2>&1 || echo FAILED; } | awk '
    { failed = /^FAILED$/ }
    failed || /^ [-+~] / || /^ *(Downloaded|Building|Built) / { next }
    { print; fflush() }
    END { exit failed }' || unreachable uv
else
  [ -x $python ] || "$PYTHON" -m venv .venv
  # What pip says of each package is too much; of what is wrong it speaks on another stream.
  { $python -m pip install --disable-pip-version-check --progress-bar off --no-compile \
      -c constraints.txt -e ".[$extras]" || echo FAILED; } | awk '
    /^Collecting/ && ++found % 25 == 0 { print "  " found " packages found"; fflush() }
    /^Installing collected/ { print "  installing them"; fflush() }
    { failed = /^FAILED$/ }
    END { exit failed }' || unreachable pip
  echo "Compiling them"
  $python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true
fi

# Beside the local Batch service, which alone is installed, this folder: `prefect` imports the flows from here.
$python -c 'import site, sys; open(site.getsitepackages()[0] + "/prefect-azure-batch.pth", "w").write(sys.argv[1])' "$PWD"
