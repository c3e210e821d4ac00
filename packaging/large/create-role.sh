#!/bin/sh
# Run once by the image of PostgreSQL, when its volume is empty: the database, and a role that owns it and is no superuser, to whom row-level
# security would not apply.
set -eu
psql --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'END'
\set password `cat /run/secrets/db-password`
CREATE ROLE cartulary LOGIN PASSWORD :'password';
CREATE DATABASE cartulary OWNER cartulary;
END
