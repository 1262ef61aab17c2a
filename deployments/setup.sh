# Make or bring up to date the environment in .venv, with these extras of pyproject.toml: `sh setup.sh flows,dev`.
# With uv if it is there, else with pip. PYTHON is the interpreter to make it with.
# `sh setup.sh is-whole` only says whether an environment that it made is of use: of a folder that was moved or
# copied, or whose interpreter is gone, it is not.
set -e
extras=$1
python=.venv/bin/python
place=.venv/.place
done=.venv/.done-$extras

is_whole() {
  [ -x $python ] && { [ ! -e $place ] || [ "$(cat $place)" = "$(pwd -P)" ]; }
}
if [ "$extras" = is-whole ]; then
  is_whole
  exit
fi

"${PYTHON:=python3}" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
  { echo "Python 3.10 or newer is needed: make PYTHON=/path/to/python3" >&2; exit 1; }

# One at a time; the lock ends with this process, however that ends. One that hangs is not waited for for ever.
if [ -z "$SETUP_IS_LOCKED" ]; then
  mkdir -p .local 2>/dev/null && [ -w .local ] || {
    echo "Nothing can be installed: you may not write to $(pwd). Clone the repository to a folder of your own." >&2
    exit 1
  }
  SETUP_IS_LOCKED=1 exec "$PYTHON" -c '
import fcntl, os, sys, time
lock = os.open(".local/setup.lock", os.O_RDWR | os.O_CREAT, 0o600)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("Another setup is at work in this folder: waiting for its end", flush=True)
    seconds = float(os.environ.get("SETUP_LOCK_SECONDS", 1200))
    ends_at_seconds = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= ends_at_seconds:
                sys.exit(f"Another setup holds .local/setup.lock for {seconds:.0f} seconds: does it hang?")
        time.sleep(0.1)
    os.environ["SETUP_HAS_WAITED"] = "1"
os.set_inheritable(lock, True)
os.execvp("sh", ["sh", *sys.argv[1:]])' "$0" "$@"
fi
is_whole || rm -rf .venv
if [ -n "$SETUP_HAS_WAITED" ] && [ $done -nt pyproject.toml ] && [ $done -nt constraints.txt ]; then
  exit 0
fi

unreachable() {
  echo >&2
  echo "The Python packages could not be installed; what $1 said of it is above. Mostly the package index can't be reached:" >&2
  echo "look at the network, at a proxy (HTTPS_PROXY), at its certificates (SSL_CERT_FILE, PIP_CERT) and at an index of your own (UV_DEFAULT_INDEX, PIP_INDEX_URL)." >&2
  exit 1
}

# What an installer says is shown line by line, as it says it: some awks wait for the end, or for 4 KiB.
# A line for each of a hundred packages is too much; the large ones, the steps and what is wrong are shown.
uv_steps() {
  while IFS= read -r line; do
    case ${line#"${line%%[! ]*}"} in
      FAILED) return 1 ;;
      [-+~]" "* | "Downloaded "* | "Building "* | "Built "*) ;;
      *) printf '%s\n' "$line" ;;
    esac
  done
}
# Of what is wrong pip speaks on another stream.
pip_steps() {
  found=0
  while IFS= read -r line; do
    case $line in
      FAILED) return 1 ;;
      "Collecting "*)
        found=$((found + 1))
        [ $((found % 25)) -ne 0 ] || echo "  $found packages found"
        ;;
      "Installing collected"*) echo "  installing them" ;;
    esac
  done
}

echo "Python packages for $extras, into .venv"
if command -v uv >/dev/null; then
  [ -x $python ] || uv venv --quiet --python "$PYTHON" .venv
  { uv pip install --python $python --compile-bytecode -c constraints.txt -e ".[$extras]" 2>&1 || echo FAILED; } |
    uv_steps || unreachable uv
else
  [ -x $python ] || "$PYTHON" -m venv .venv
  { $python -m pip install --disable-pip-version-check --progress-bar off --no-compile \
      -c constraints.txt -e ".[$extras]" || echo FAILED; } | pip_steps || unreachable pip
  echo "Compiling them"
  $python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true
fi

# Beside the local Batch service, which alone is installed, this folder: `prefect` imports the flows from here.
pwd -P > $place
$python -c 'import site, sys; open(site.getsitepackages()[0] + "/prefect-azure-batch.pth", "w").write(sys.argv[1])' "$PWD"
# Last: who was waiting takes it for all of this.
touch $done
