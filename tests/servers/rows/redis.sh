# Redis: one server over TCP, unix socket and TLS (certificates made here), and one that is as old as
# can be had: without HELLO, GETEX and GETDEL. Everything acknowledged is on disk.
tls=$dir/tls
mkdir -p "$tls" "$dir/data" "$dir/old"
make_certificates "$tls"

port=$(free_port)
tls_port=$(free_port)
# The path of a socket is at most 107 bytes, and the checkout may lie deep.
socket=$dir/redis.sock
[ ${#socket} -lt 100 ] || socket=/tmp/kivi-redis-$port.sock
run_server redis redis-server --port "$port" --bind 127.0.0.1 --dir "$dir/data" --save '' \
    --unixsocket "$socket" --databases 16 \
    --tls-port "$tls_port" --tls-cert-file "$tls/server.pem" --tls-key-file "$tls/server.key" \
    --tls-ca-cert-file "$tls/ca.pem" --tls-auth-clients yes \
    --user default on nopass '~*' '&*' +@all \
    --user kivi on '>kivi-secret' '~*' '&*' +@all
old_port=$(free_port)
run_server redis-old redis-server --port "$old_port" --bind 127.0.0.1 --dir "$dir/old" --save '' \
    --requirepass old-secret \
    --rename-command HELLO '' --rename-command GETEX '' --rename-command GETDEL ''
wait_until 20 redis-cli -p "$port" ping
wait_until 20 redis-cli -p "$old_port" -a old-secret --no-auth-warning ping

# Each row has a database of its own.
give REDIS "redis://127.0.0.1:$port/0"
give REDIS_QUEUE "redis://127.0.0.1:$port/6" queue
give REDIS_RESP2 "redis://127.0.0.1:$port/1?protocol=2"
give REDIS_UNIX "redis+unix://$socket?db=2"
give REDIS_TLS "rediss://kivi:kivi-secret@localhost:$tls_port/3?tls_ca_file=$tls/ca.pem&tls_cert_file=$tls/client.pem&tls_key_file=$tls/client.key"
give REDIS_NAMESPACE "redis://kivi:kivi-secret@127.0.0.1:$port/4?namespace=spaced"
give REDIS_JSON "redis+unix://$socket?db=5&protocol=2&codec=json"
give REDIS_OLD "redis://:old-secret@127.0.0.1:$old_port/0"

# Its own client writes beside us.
writer() { # NAME KEY-PREFIX ARGUMENT...
    local name=$1 prefix=$2
    shift 2
    give_foreign_writer "$name" "redis-cli -e --no-auth-warning $* SET \"$prefix\$1\" \"\$2\""
}
writer REDIS '' -p "$port" -n 0
writer REDIS_QUEUE '' -p "$port" -n 6
writer REDIS_RESP2 '' -p "$port" -n 1
writer REDIS_UNIX '' -s "$socket" -n 2
writer REDIS_TLS '' -p "$port" -n 3
writer REDIS_NAMESPACE spaced: -p "$port" -n 4
writer REDIS_JSON '' -s "$socket" -n 5
writer REDIS_OLD '' -p "$old_port" -a old-secret -n 0
