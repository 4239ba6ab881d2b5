# PostgreSQL's official image with Patroni beside it, which decides who leads. Both come from
# PostgreSQL's own package archive, which the image names already.
FROM postgres:18-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends patroni python3-etcd python3-psycopg2 \
    && rm -rf /var/lib/apt/lists/* \
    && install --directory --owner=postgres --group=postgres --mode=0700 /var/lib/postgresql
USER postgres
ENTRYPOINT ["patroni", "/patroni.yml"]
