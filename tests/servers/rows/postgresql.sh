# PostgreSQL: one server over TCP, TLS and a unix socket, and pgbouncer in transaction mode before it. Both refuse root: then
# they run as the user postgres, whom Debian's package makes. One database is durable; the others do not wait for the disk.
bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
data=$dir
[ "$(id -u)" != 0 ] || data=$(folder_for postgres postgresql)
cd "$data"
printf 'kivi-secret\n' >password
chmod 644 password
(export HOME="$data"; as_user postgres "$bin/initdb" -D "$data/db" -U kivi -A scram-sha-256 --pwfile="$data/password" -E UTF8 --locale=C.UTF-8 --no-sync)
make_certificates "$data"
cp server.key db/server.key
[ "$(id -u)" != 0 ] || chown postgres db/server.key
# Who comes by TLS shows a certificate as well.
sed -i '1i hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca' db/pg_hba.conf

port=$(free_port)
run_server --user postgres --stop INT postgresql "$bin/postgres" -D "$data/db" -p "$port" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories="$data" -c max_connections=300 -c ssl=on -c ssl_cert_file="$data/server.pem" \
    -c ssl_key_file=server.key -c ssl_ca_file="$data/ca.pem"
wait_until 20 "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"
export PGPASSWORD=kivi-secret PGHOST=127.0.0.1 PGPORT=$port PGUSER=kivi
for name in one two three four five six seven; do
    "$bin/createdb" "$name"
    [ "$name" = one ] || psql -q "$name" -c "ALTER DATABASE $name SET synchronous_commit = off"
done

pooler_port=$(free_port)
printf '"kivi" "kivi-secret"\n' >users.txt
cat >pgbouncer.ini <<END
[databases]
* = host=127.0.0.1 port=$port
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $pooler_port
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $data/users.txt
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 40
END
run_server --user postgres --stop INT pgbouncer /usr/sbin/pgbouncer "$data/pgbouncer.ini"
wait_until 20 "$bin/pg_isready" -q -p "$pooler_port"

# KiviGo's own statement, run by psql.
cat >write <<END
#!/bin/sh
export PGPASSWORD=kivi-secret
value=\$(printf %s "\$3" | od -An -v -tx1 | tr -d " \\n")
psql -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p $port -U kivi "\$1" -v key="\$2" -v value="\$value" <<'SQL'
INSERT INTO kv_store (key_name, value_data) VALUES (:'key', decode(:'value', 'hex'))
ON CONFLICT (key_name) DO UPDATE SET value_data = EXCLUDED.value_data
SQL
END
chmod 755 write

login=kivi:kivi-secret
row() { # NAME DATABASE KEY-PREFIX URL
    give "$1" "$4"
    give_foreign_writer "$1" "$data/write $2 \"$3\$1\" \"\$2\""
}
row POSTGRESQL one '' "postgresql://$login@127.0.0.1:$port/one"
row POSTGRESQL_JSON three '' "postgresql://$login@localhost:$port/three?codec=json"
row POSTGRESQL_NAMESPACE four spaced: "postgres://$login@127.0.0.1:$port/four?namespace=spaced"
row POSTGRESQL_TLS five '' "postgresql://$login@localhost:$port/five?tls=true&tls_ca_file=$data/ca.pem&tls_cert_file=$data/client.pem&tls_key_file=$data/client.key"
row POSTGRESQL_UNIX six '' "postgresql://$login@/six?host=$data&port=$port"
row POSTGRESQL_POOLED seven '' "postgresql://$login@127.0.0.1:$pooler_port/seven?prepared=false"
give POSTGRESQL_OWN "postgresql://$login@127.0.0.1:$port/two?table={name}" toolless
give POSTGRESQL_QUEUE "postgresql://$login@127.0.0.1:$port/two?table={name}" queue toolless
