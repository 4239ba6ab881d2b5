#!/bin/sh
# Starts one of several Valkeys: as a replica of whom the Sentinels name, else of the first. So an
# old primary that comes back takes no event before it has heard who leads now.
set -eu
port=${VALKEY_PORT:-6379}
primary=
for sentinel in $VALKEY_SENTINELS; do
    # Its answer is an address and a port, a line each; nothing where it knows no primary.
    primary=$(timeout 2 env -u REDISCLI_AUTH "${VALKEY_CLI:-valkey-cli}" -h "${sentinel%:*}" \
        -p "${sentinel##*:}" sentinel get-master-addr-by-name main 2>/dev/null \
        | head -n 2 | tr '\n' ' ') || primary=
    case $primary in
        *" "[0-9]*) break ;;
        *) primary= ;;
    esac
done
set -- ${primary:-$VALKEY_FIRST ${VALKEY_FIRST_PORT:-$port}}
follow=
if [ "$1 $2" != "$VALKEY_NAME $port" ]; then
    follow="--replicaof $1 $2"
fi
# An event is acknowledged to Stripe when it is in here, so it is on disk first, and stays.
exec "${VALKEY_SERVER:-valkey-server}" --port "$port" --dir "${VALKEY_DIR:-/data}" \
    --appendonly yes --appendfsync always --save "" \
    --maxmemory "${VALKEY_MEMORY:-1gb}" --maxmemory-policy noeviction --tcp-keepalive 30 \
    --requirepass "$VALKEY_PASSWORD" --masterauth "$VALKEY_PASSWORD" \
    --replica-announce-ip "$VALKEY_NAME" --replica-announce-port "$port" $follow
