# MySQL: one MariaDB over TCP, TLS and a unix socket. It refuses root: then it runs as nobody. It does not wait for the disk.
# Temporary tables lie in a folder of its own: a server that starts takes away those of every other that it finds.
user=nobody
[ "$(id -u)" = 0 ] || user=$(id -un)
# The path of a socket is at most 107 bytes, and the checkout may lie deep.
data=$(folder_for "$user" mysql)
cd "$data"
socket=$data/sock
(as_user "$user" mariadb-install-db --no-defaults --force --skip-name-resolve --skip-test-db \
    --auth-root-authentication-method=normal --datadir="$data/db" --tmpdir="$data" \
    --skip-log-bin --innodb-flush-log-at-trx-commit=0)
make_certificates "$data"
[ "$(id -u)" != 0 ] || chown "$user" server.key

port=$(free_port)
run_server --user "$user" mysql /usr/sbin/mariadbd --no-defaults --datadir="$data/db" --tmpdir="$data" \
    --bind-address=127.0.0.1 --port="$port" --socket="$socket" --pid-file="$data/pid" --skip-name-resolve --max-connections=300 \
    --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=0 --ssl-ca="$data/ca.pem" --ssl-cert="$data/server.pem" --ssl-key="$data/server.key"
as_root() {
    mariadb --no-defaults --socket="$socket" --user=root "$@"
}
wait_until 20 as_root -e 'SELECT 1'

names=(one two three four five six)
users=("kivi@'%'" "kivi@localhost" "kivi_tls@'%'" "kivi_tls@localhost")
{
    # Anonymous users would be found before those of '%'.
    echo "DELETE FROM mysql.global_priv WHERE User = '';"
    echo "FLUSH PRIVILEGES;"
    for name in "${names[@]}"; do
        echo "CREATE DATABASE $name CHARACTER SET utf8mb4;"
    done
    for who in "${users[@]}"; do
        # Who comes by TLS shows a certificate as well.
        [[ $who = kivi_tls@* ]] && require='REQUIRE X509' || require=''
        echo "CREATE USER $who IDENTIFIED BY 'kivi-secret' $require;"
        for name in "${names[@]}"; do
            echo "GRANT ALL ON $name.* TO $who;"
        done
    done
} | as_root

# KiviGo's own statement, run by mariadb.
cat >write <<END
#!/bin/sh
set -e
hex() {
    printf %s "\$1" | od -An -v -tx1 | tr -d " \\n"
}
echo "REPLACE INTO kv_store (key_name, value_data) VALUES (UNHEX('\$(hex "\$2")'), UNHEX('\$(hex "\$3")'))" |
    mariadb --no-defaults --socket=$socket --user=root "\$1"
END
chmod 755 write

login=kivi:kivi-secret
row() { # NAME DATABASE KEY-PREFIX URL
    give "$1" "$4"
    give_foreign_writer "$1" "$data/write $2 \"$3\$1\" \"\$2\""
}
row MYSQL one '' "mysql://$login@127.0.0.1:$port/one"
row MYSQL_JSON three '' "mysql://$login@localhost:$port/three?codec=json"
row MYSQL_NAMESPACE four spaced: "mariadb://$login@127.0.0.1:$port/four?namespace=spaced"
row MYSQL_TLS five '' "mysql://kivi_tls:kivi-secret@localhost:$port/five?tls=true&tls_ca_file=$data/ca.pem&tls_cert_file=$data/client.pem&tls_key_file=$data/client.key"
row MYSQL_UNIX six '' "mysql://$login@localhost/six?socket=$socket"
give MYSQL_OWN "mysql://$login@127.0.0.1:$port/two?table={name}" toolless
give MYSQL_QUEUE "mysql://$login@127.0.0.1:$port/two?table={name}" queue toolless
