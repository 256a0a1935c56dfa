# Redis Sentinel: three sentinels, who want a password, and three servers, of which they name the primary. Nothing fails over
# here: a busy machine is no dead server.
servers=()
for i in 1 2 3; do
    port=$(free_port)
    servers+=("$port")
    mkdir -p "$dir/server$i"
    of=()
    [ "$i" = 1 ] || of=(--replicaof "127.0.0.1 ${servers[0]}" --repl-diskless-sync-delay 0)
    run_server "server$i" redis-server --port "$port" --bind 127.0.0.1 --dir "$dir/server$i" --save '' \
        --requirepass kivi-secret --masterauth kivi-secret "${of[@]}"
done
sentinels=()
for i in 1 2 3; do
    port=$(free_port)
    sentinels+=("$port")
    mkdir -p "$dir/sentinel$i"
    cat >"$dir/sentinel$i.conf" <<CONF
port $port
bind 127.0.0.1
dir $dir/sentinel$i
requirepass sentinel-secret
sentinel sentinel-pass sentinel-secret
sentinel monitor kivi 127.0.0.1 ${servers[0]} 2
sentinel auth-pass kivi kivi-secret
sentinel down-after-milliseconds kivi 600000
CONF
done
wait_until 20 redis-cli -p "${servers[0]}" -a kivi-secret --no-auth-warning ping
# The server is its own sentinel: Debian's redis-sentinel is another name of it.
for i in 1 2 3; do
    run_server "sentinel$i" redis-server "$dir/sentinel$i.conf" --sentinel
done
for port in "${sentinels[@]}"; do
    wait_until 20 redis-cli -e -p "$port" -a sentinel-secret --no-auth-warning sentinel get-master-addr-by-name kivi
done

# A machine that is busy with tests may hold a server up for longer than half a second.
url="redis+sentinel://:kivi-secret@127.0.0.1:${sentinels[0]},127.0.0.1:${sentinels[1]},127.0.0.1:${sentinels[2]}/kivi"
url="$url?sentinel_password=sentinel-secret&server_timeout=5s"
give REDIS_SENTINEL "$url"
give REDIS_SENTINEL_QUEUE "$url&db=1" queue
give_foreign_writer REDIS_SENTINEL "redis-cli -e --no-auth-warning -p ${servers[0]} -a kivi-secret SET \"\$1\" \"\$2\""
give_foreign_writer REDIS_SENTINEL_QUEUE "redis-cli -e --no-auth-warning -p ${servers[0]} -a kivi-secret -n 1 SET \"\$1\" \"\$2\""
