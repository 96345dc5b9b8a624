# Shared by the scripts in this folder, which source it; it is not run on its own.
# It owns the scratch folder, the servers that were started, and the clearing away of both.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
me=$(basename "$0")

# A developer's own settings must not steer what is being checked.
for _name in "${!KEYTURN_@}"; do
  [[ $_name == KEYTURN_BIN || $_name == KEYTURN_TEST_* ]] || unset "$_name"
done
# Scripts make many changes with one credential; the limit on that has tests of its own.
export KEYTURN_LIMITS__CHANGES_PER_MINUTE=0
# Everything here talks over loopback, whatever proxy leads to the package registries.
export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"
export no_proxy=$NO_PROXY

servers=()
scratch=''

die() {
  printf '%s: %s\n' "$me" "$*" >&2
  exit 1
}

ok() {
  printf 'ok %s: %s\n' "$me" "$*"
}

# Creates the scratch folder, and removes it and ends all servers when the script exits.
make_scratch() {
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/keyturn-$me.XXXXXX")
  trap clear_away EXIT
}

# A script that is itself being ended takes along the step it was waiting for.
end_children() {
  local children=() pid
  read -ra children <"/proc/$$/task/$$/children" || true
  for pid in "${children[@]}"; do
    kill -TERM "$pid" 2>/dev/null || true
  done
}

# shellcheck disable=SC2317  # called by the trap
clear_away() {
  local status=$? pid
  trap - EXIT
  end_children
  for pid in "${servers[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  if [[ -n $scratch ]]; then
    chmod -R u+w "$scratch" 2>/dev/null || true
    rm -rf "$scratch"
  fi
  exit "$status"
}

target_directory() {
  cargo metadata --manifest-path "$root/Cargo.toml" --format-version 1 --no-deps </dev/null |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])'
}

# tool NAME prints the path of a program that scripts/tools has installed from scripts/tools.txt.
tool() {
  local path
  path=$(tools_folder)/bin/$1
  [[ -x $path ]] || die "$1 is missing; install it with: scripts/tools"
  printf '%s\n' "$path"
}

# cargo_tool NAME VERSION builds a program from crates.io once, without optimization, and prints its folder.
cargo_tool() {
  local folder
  folder=$(target_directory)/tools/$1-$2
  [[ -x $folder/bin/$1 ]] ||
    cargo install --quiet --locked --debug --version "$2" --root "$folder" --target-dir "$folder/build" "$1" </dev/null >&2 ||
    die "$1 $2 cannot be installed: crates.io must be reachable once"
  rm -rf "$folder/build"
  printf '%s/bin\n' "$folder"
}

# The folder's name is the digest of the list, so that a new version is installed beside the old one.
tools_folder() {
  printf '%s/tools/pinned-%s\n' "$(target_directory)" "$(sha256sum <"$root/scripts/tools.txt" | cut -c1-12)"
}

# Sets KEYTURN_BIN to an absolute path, building the debug binary when none was given. The scripts' own variables are removed
# from the program's environment, because it rejects variables that it does not know.
find_binary() {
  if [[ -z ${KEYTURN_BIN:-} ]]; then
    cargo build --manifest-path "$root/Cargo.toml" </dev/null
    KEYTURN_BIN=$(target_directory)/debug/keyturn
  fi
  [[ -x $KEYTURN_BIN ]] || die "no such program: $KEYTURN_BIN (set KEYTURN_BIN, or unset it to build one)"
  KEYTURN_BIN=$(realpath -s "$KEYTURN_BIN")
  local name
  for name in KEYTURN_BIN "${!KEYTURN_TEST_@}"; do
    export -n "${name?}"
  done
}

# Runs the script again with --within and its arguments, the same program, and a PostgreSQL server of its own.
rerun_with_postgres() {
  export KEYTURN_BIN
  exec "$root/scripts/with-postgres" "$root/scripts/$me" --within "$@"
}

# install_packages NAME... from Debian, as root or with a sudo that asks for no password. Debian starts a service as
# soon as it is installed; here only the programs are wanted.
install_packages() {
  local as_root=() policy=/usr/sbin/policy-rc.d own_policy=no status=0 package
  if ((EUID != 0)); then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then as_root=(sudo -n); else return 1; fi
  fi
  command -v apt-get >/dev/null || return 1
  printf 'installing: %s\n' "$*"
  if [[ ! -e $policy ]]; then
    own_policy=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
  fi
  {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  } || status=$?
  [[ $own_policy == no ]] || "${as_root[@]}" rm -f "$policy"
  if [[ -d /run/systemd/system ]]; then
    for package in "$@"; do
      case $package in nginx | caddy | haproxy | postgresql | redis-server | redis-sentinel) "${as_root[@]}" systemctl --quiet disable "$package" 2>/dev/null || true ;; esac
    done
  fi
  return "$status"
}

# Installs what missing_packages, which the script defines, prints.
need_packages() {
  local missing
  read -ra missing <<<"$(missing_packages)"
  ((${#missing[@]})) || return 0
  install_packages "${missing[@]}" ||
    die "missing; install with: apt-get install ${missing[*]} (or what your system calls these)"
  hash -r
  read -ra missing <<<"$(missing_packages)"
  ((${#missing[@]} == 0)) || die "still missing after the installation: ${missing[*]}"
}

# Prints the folder of PostgreSQL's own programs, the newest version's.
find_postgres() {
  local path
  path=$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V | sed -n '$p')
  [[ -x $path ]] || path=$(command -v postgres) || return 1
  [[ -x ${path%/*}/initdb ]] || return 1
  printf '%s\n' "${path%/*}"
}

# Prints the path of Chromium or Chrome, in the order in which the tests look for it.
find_browser() {
  local name
  for name in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" && return
  done
  return 1
}

# Below the range the kernel takes outgoing ports from, so that a restart finds its port still free.
free_port() {
  take_ports 1
}

# Takes that many different ports at once, so that no two servers are given the same.
take_ports() {
  python3 - "$1" <<'PYTHON'
import random, socket, sys
held = []
while len(held) < int(sys.argv[1]):
    probe = socket.socket()
    try:
        probe.bind(("127.0.0.1", random.randrange(20000, 32000)))
        held.append(probe)
    except OSError:
        probe.close()
print(*(probe.getsockname()[1] for probe in held))
PYTHON
}

# background LOG COMMAND... starts a process group of its own and remembers it for the end.
background() {
  local log=$1
  shift
  (exec setsid "$@") >"$log" 2>&1 &
  servers+=("-$!")
  disown "$!"
}

# wait_port PORT LOG NAME [SECONDS] waits until a server that was started listens.
wait_port() {
  local deadline=$((SECONDS + ${4:-20}))
  until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
    if ((SECONDS >= deadline)); then
      tail -n 30 "$2" >&2
      die "$3 does not listen (the end of its output is above)"
    fi
    sleep 0.05
  done
}

# start_server FOLDER LOG [ARGUMENT...] runs the binary in FOLDER; its process id is in $server.
start_server() {
  local folder=$1 log=$2
  shift 2
  (cd "$folder" && exec "$KEYTURN_BIN" "$@") </dev/null >"$log" 2>&1 &
  server=$!
  servers+=("$server")
}

# wait_ready URL LOG waits until the server just started says that it may take traffic.
wait_ready() {
  local deadline=$((SECONDS + 60))
  until curl -q -fsS -o /dev/null --max-time 2 "$1/readyz" 2>/dev/null; do
    if ! kill -0 "$server" 2>/dev/null || ((SECONDS >= deadline)); then
      cat "$2" >&2
      die "the server did not become ready at $1 (its output is above)"
    fi
    sleep 0.1
  done
}

# stop_server asks the server just started to stop; it must leave within 20 s and with exit code 0.
stop_server() {
  local deadline=$((SECONDS + 20)) status=0
  kill -TERM "$server" 2>/dev/null || die "the server had stopped by itself"
  while kill -0 "$server" 2>/dev/null; do
    ((SECONDS < deadline)) || die "the server did not stop within 20 s of SIGTERM"
    sleep 0.05
  done
  wait "$server" || status=$?
  servers=()
  ((status == 0)) || die "the server left with exit code $status after SIGTERM, 0 was expected"
}
