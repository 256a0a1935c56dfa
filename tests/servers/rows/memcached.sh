# Memcached: three servers that make a ring, of which one is asked alone as well; two that are scanned by their dumps; one
# behind a unix socket; and one that wants TLS and a login. It does not run as root.
as=()
[ "$(id -u)" != 0 ] || as=(-u nobody)
tls=$dir/tls
mkdir -p "$tls"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=kivi test" \
    -addext 'subjectAltName=IP:127.0.0.1,DNS:localhost' -keyout "$tls/key.pem" -out "$tls/cert.pem"
echo 'kivi:kivi-secret' >"$tls/users"

ports=()
for i in 1 2 3 4 5; do
    port=$(free_port)
    ports+=("$port")
    run_server "memcached$i" memcached "${as[@]}" -l 127.0.0.1 -p "$port" -m 512 -c 4096
done
# The path of a socket is at most 107 bytes, and the checkout may lie where another user may not look.
socket=/tmp/kivi-memcached-${ports[0]}.sock
run_server memcached-unix memcached "${as[@]}" -s "$socket" -a 0777 -m 512
tls_port=$(free_port)
# It reads the certificate and the users before it changes to another user.
run_server memcached-tls memcached "${as[@]}" -l 127.0.0.1 -p "$tls_port" -m 512 -Z -Y "$tls/users" \
    -o "ssl_chain_cert=$tls/cert.pem,ssl_key=$tls/key.pem"
for port in "${ports[@]}" "$tls_port"; do
    wait_until 20 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"
done
wait_until 20 test -S "$socket"

one=127.0.0.1:${ports[0]}
# A machine that is busy with tests may hold a server up for longer than half a second.
ring=$one,127.0.0.1:${ports[1]},127.0.0.1:${ports[2]}/?server_timeout=5s
give MEMCACHED "memcached://$ring"
give MEMCACHED_ONE "memcached://$one"
give MEMCACHED_QUEUE "memcached://$ring" queue
give MEMCACHED_ONE_QUEUE "memcached://$one" queue
give MEMCACHED_KETAMA "memcached://$ring&distribution=ketama"
give MEMCACHED_WEIGHTED "memcached://$ring&distribution=weighted&weights=8,1,2&namespace=spaced"
# A server dumps for one at a time, and the cases of a row run side by side.
give MEMCACHED_METADUMP "memcached://127.0.0.1:${ports[3]},127.0.0.1:${ports[4]}/?server_timeout=5s&scan=metadump&timeout=60s" slow
give MEMCACHED_UNIX "memcached+unix://$socket"
give MEMCACHED_TLS "memcacheds://kivi:kivi-secret@localhost:$tls_port/?tls_ca_file=$tls/cert.pem"
give MEMCACHED_NAMESPACE "memcached://$one/?namespace=a%3Ab"
give MEMCACHED_JSON "memcached://$ring&codec=json"
