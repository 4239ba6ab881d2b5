#!/bin/sh
# Starts one of three Sentinels. Its file is written once; from then on it is the Sentinel's own,
# which notes there who leads and whom it knows.
set -eu
file=${SENTINEL_FILE:-/data/sentinel.conf}
if [ ! -s "$file" ]; then
    # Nobody else may read the password.
    umask 077
    cat >"$file" <<END
port ${SENTINEL_PORT:-26379}
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip ${SENTINEL_NAME}
sentinel monitor main ${VALKEY_FIRST} ${VALKEY_PORT:-6379} 2
sentinel auth-pass main ${VALKEY_PASSWORD}
sentinel down-after-milliseconds main 3000
sentinel failover-timeout main 10000
sentinel parallel-syncs main 1
END
fi
exec "${VALKEY_SERVER:-valkey-server}" "$file" --sentinel
