# What start, stop and the rows share. `root` is the checkout; in a row, `dir` is the store's own folder
# (emptied before each start) and its output goes to `$dir/log`.
kivi_servers=$root/build/servers

# When a process began, in clock ticks since boot; empty where there is none.
started_at() { # PID
    # The name, in brackets, may hold anything: count fields after it.
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20
}

is_running() { # PID SINCE
    [ -n "$2" ] && [ "$(started_at "$1")" = "$2" ]
}

# Says a URL to the tests, KIVI_TEST_<NAME>=URL, and the traits of its row in the conformance suite.
give() { # NAME URL [TRAIT...]
    local name=$1 url=$2
    shift 2
    printf "KIVI_TEST_%s='%s'\n" "$name" "$url" >>"$kivi_servers/env"
    [ $# = 0 ] || printf "KIVI_TRAITS_%s='%s'\n" "$name" "$*" >>"$kivi_servers/env"
}

# A plain tool that writes to the store past the library, given the key as $1 and the bytes of the value as $2.
give_foreign_writer() { # NAME COMMAND
    printf "KIVI_FOREIGN_WRITER_%s='%s'\n" "$1" "$2" >>"$kivi_servers/env"
}

# Runs a command as another user, who gets the row's folder, where the tests run as root: some servers refuse root.
as_user() { # USER COMMAND...
    local user=$1
    shift
    if [ "$(id -u)" != 0 ]; then
        exec "$@"
    fi
    chown "$user" "$dir"
    exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups "$@"
}

# Starts a server in the background and notes it for stop, which sends TERM unless told another signal.
run_server() { # [--user USER] [--stop SIGNAL] NAME COMMAND...
    local name pid user='' signal=TERM
    while [[ $1 == --* ]]; do
        case $1 in
        --user) user=$2 ;;
        --stop) signal=$2 ;;
        *) echo "run_server: no option $1" >&2; return 1 ;;
        esac
        shift 2
    done
    name=$1
    shift
    if [ -n "$user" ]; then
        (as_user "$user" setsid "$@") </dev/null >>"$dir/$name.log" 2>&1 &
    else
        setsid "$@" </dev/null >>"$dir/$name.log" 2>&1 &
    fi
    pid=$!
    printf '%s %s %s %s\n' "$pid" "$(started_at "$pid")" "$signal" "$name" >>"$kivi_servers/pids"
}

# A folder of another user's, which stop removes: the checkout may lie where he must not look.
folder_for() { # USER NAME
    local folder
    folder=$(mktemp -d "/tmp/kivi-$2-XXXXXX")
    chown "$1" "$folder"
    echo "$folder" >>"$kivi_servers/folders"
    echo "$folder"
}

# An authority, and what it signed for a server at 127.0.0.1 and localhost and for a client: NAME.pem, NAME.key.
make_certificates() { # FOLDER
    local who
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
        -subj "/CN=kivi test authority" -keyout "$1/ca.key" -out "$1/ca.pem"
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' >"$1/san.txt"
    for who in server client; do
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=kivi test $who" \
            -keyout "$1/$who.key" -out "$1/$who.csr"
        openssl x509 -req -in "$1/$who.csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -days 30 \
            -extfile "$1/san.txt" -out "$1/$who.pem"
    done
}

# A port that nobody listens on and that no other row was given, below the kernel's own range.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 10000))
        ! grep -qx "$port" "$kivi_servers/ports" 2>/dev/null || continue
        ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || continue
        echo "$port" >>"$kivi_servers/ports"
        echo "$port"
        return
    done
}

# Waits until a command succeeds.
wait_until() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ "$SECONDS" -ge "$end" ]; then
            echo "gave up waiting for: $*" >&2
            return 1
        fi
        sleep 0.1
    done
}

# Where servers that had to be built are kept between runs and checkouts.
cache_dir() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/kivi-servers
    mkdir -p "$cache"
    echo "$cache"
}
