# Redis Cluster: three primaries, each with a replica. TLS besides, with certificates made here. The bus of a node has a port of
# its own: 10000 above the other unless it is told, which would be within the kernel's range.
tls=$dir/tls
mkdir -p "$tls"
make_certificates "$tls"

ports=()
tls_ports=()
for i in 1 2 3 4 5 6; do
    port=$(free_port)
    tls_port=$(free_port)
    ports+=("$port")
    tls_ports+=("$tls_port")
    mkdir -p "$dir/node$i"
    run_server "node$i" redis-server --port "$port" --bind 127.0.0.1 --dir "$dir/node$i" --save '' \
        --cluster-enabled yes --cluster-port "$(free_port)" --cluster-node-timeout 15000 \
        --repl-diskless-sync-delay 0 --tls-port "$tls_port" --tls-auth-clients no --tls-cluster yes --tls-replication yes \
        --tls-cert-file "$tls/server.pem" --tls-key-file "$tls/server.key" --tls-ca-cert-file "$tls/ca.pem"
done
for port in "${ports[@]}"; do
    wait_until 20 redis-cli -p "$port" ping
done
redis-cli --tls --cacert "$tls/ca.pem" --cluster create "${tls_ports[@]/#/127.0.0.1:}" --cluster-replicas 1 --cluster-yes
# Every node knows that all slots are served, and every replica has its primary's data.
is_whole() { # PORT
    redis-cli -p "$1" cluster info | grep -q '^cluster_state:ok' &&
        ! redis-cli -p "$1" role | grep -qE '^(connect|connecting|sync)$'
}
for port in "${ports[@]}"; do
    wait_until 20 is_whole "$port"
done

# A machine that is busy with tests may hold a server up for longer than half a second, and a lane logs in to each of them.
seeds="127.0.0.1:${ports[0]},127.0.0.1:${ports[4]}/?timeout=30s&server_timeout=5s"
give REDIS_CLUSTER "redis+cluster://$seeds"
give REDIS_CLUSTER_QUEUE "redis+cluster://$seeds" queue
give REDIS_CLUSTER_NAMESPACE "redis+cluster://$seeds&namespace=%7Bone%7D"
give REDIS_CLUSTER_TLS "rediss+cluster://localhost:${tls_ports[0]}/?timeout=30s&server_timeout=5s&namespace=secret&tls_ca_file=$tls/ca.pem"

# Its own client writes beside us, and follows the cluster.
writer() { # NAME KEY-PREFIX
    give_foreign_writer "$1" "redis-cli -e -c -p ${ports[0]} SET \"$2\$1\" \"\$2\""
}
writer REDIS_CLUSTER ''
writer REDIS_CLUSTER_QUEUE ''
writer REDIS_CLUSTER_NAMESPACE '{one}:'
writer REDIS_CLUSTER_TLS secret:
