#!/bin/sh
# Starts Postgres as any non-root user on a read-only root file system: the data
# on the volume, all else in /tmp. User, database and password are octo's.
set -eu

password_file="${OCTO_POSTGRES_PASSWORD_FILE:-/run/secrets/postgres/password}"
umask 077

[ -r "$password_file" ] || {
    echo "octo-postgres: the password file $password_file cannot be read" >&2
    exit 1
}
# As an SQL literal: each quote doubled.
password="$(sed "s/'/''/g" "$password_file")"
[ -n "$password" ] || {
    echo "octo-postgres: the password file $password_file is empty" >&2
    exit 1
}

single() { postgres --single -j -D "$1" -c log_min_messages=error "$2" >/dev/null; }

if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # Made beside and renamed: a start that is killed half way is begun again.
    rm -rf "$PGDATA.new"
    # The superuser has no password, and no line in pg_hba.conf lets it in.
    initdb --pgdata="$PGDATA.new" --username=postgres --encoding=UTF8 --locale=C.UTF-8 \
        --auth=reject --no-instructions
    printf '%s\n' \
        'local octo octo scram-sha-256' \
        'host  octo octo all scram-sha-256' >"$PGDATA.new/pg_hba.conf"
    printf "CREATE ROLE octo LOGIN;\n\nCREATE DATABASE octo OWNER octo;\n\n" | single "$PGDATA.new" postgres
    mv "$PGDATA.new" "$PGDATA"
fi

# On each start, so that a new password in the Secret holds after a restart.
printf "ALTER ROLE octo PASSWORD '%s';\n\n" "$password" | single "$PGDATA" postgres
unset password

exec postgres -D "$PGDATA" -c listen_addresses='*' -c port=5432 -c unix_socket_directories=/tmp "$@"
