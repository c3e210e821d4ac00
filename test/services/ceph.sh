#!/bin/bash
# An S3 server for tests: Ceph's, as Debian packages it (ceph-mon, ceph-osd, radosgw, ceph-common). One of each, on loopback, in memory.
#
#   ceph.sh have                    are the programs there?
#   ceph.sh up DIR PORT OWN OWN [OWNER]
#                                   S3 at http://127.0.0.1:PORT; the other two ports are Ceph's own. Where it runs already, nothing is done.
#                                   With OWNER (a process id) it ends when that process does.
#   ceph.sh down DIR                ends what `up` started in DIR, by the ids it noted, and removes DIR
#   ceph.sh kill-gateway DIR        kills the S3 gateway, as a crash does
#   ceph.sh gateway DIR             starts it again
#
# Access key TESTKEY00000000000001, secret key test-secret-of-no-value.
set -euo pipefail

PROGRAMS=(ceph ceph-mon ceph-osd monmaptool radosgw radosgw-admin)
ACCESS_KEY=TESTKEY00000000000001
SECRET_KEY=test-secret-of-no-value

fail() { echo "ceph.sh: $*" >&2; exit 1; }

# Tries a command until it works: attempts, a fifth of a second apart.
until_works() {
  local attempts=$1; shift
  while ! "$@" >/dev/null 2>&1; do
    attempts=$((attempts - 1))
    [ "$attempts" -gt 0 ] || return 1
    sleep 0.2
  done
}

# Runs a daemon in the background and notes its id.
daemon() {
  local name=$1; shift
  setsid "$@" -c "$DIR/ceph.conf" -f >"$DIR/$name.out" 2>&1 </dev/null &
  echo $! >"$DIR/$name.pid"
}

runs() { [ -f "$DIR/$1.pid" ] && kill -0 "$(cat "$DIR/$1.pid")" 2>/dev/null; }

end() {
  runs "$1" || return 0
  local id; id=$(cat "$DIR/$1.pid")
  kill -"$2" "$id" 2>/dev/null || return 0
  tail --pid="$id" -f /dev/null
}

answers() { curl -sf -m 2 -o /dev/null "http://127.0.0.1:$PORT/"; }

gateway() {
  PORT=$(cat "$DIR/port")
  daemon gateway radosgw -n client.rgw.test --rgw_frontends "beast endpoint=127.0.0.1:$PORT tcp_nodelay=1"
  until_works 300 answers || fail "the gateway does not answer; see $DIR/gateway.out"
}

configure() {
  # No authentication inside, hence loopback only; radosgw waits for ever unless it is told that it need not encrypt towards the monitor.
  cat >"$DIR/ceph.conf" <<END
[global]
fsid = $FSID
mon_host = [v2:127.0.0.1:$OWN_2,v1:127.0.0.1:$OWN_1]
public_network = 127.0.0.0/8
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
run_dir = $DIR
crash_dir = $DIR
admin_socket = $DIR/\$name.asok
log_file = $DIR/\$name.log
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 2
osd_pool_default_pgp_num = 2
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
mon_data_avail_warn = 1
mon_data_avail_crit = 1
[mon]
mon_data = $DIR/mon
paxos_propose_interval = 0.05
[osd]
osd_data = $DIR/osd
osd_objectstore = memstore
memstore_device_bytes = 2147483648
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
osd_op_num_shards = 1
osd_op_num_threads_per_shard = 2
[client]
ms_mon_client_mode = crc
rgw_data = $DIR
rgw_thread_pool_size = 32
rgw_enable_ops_log = false
rgw_enable_usage_log = false
END
}

up() {
  if [ -f "$DIR/ready" ] && runs monitor && runs store && runs gateway; then return; fi
  [ ! -e "$DIR" ] || down
  mkdir -p "$DIR/mon" "$DIR/osd"
  echo "$PORT" >"$DIR/port"
  FSID=$(cat /proc/sys/kernel/random/uuid)
  configure
  export CEPH_CONF="$DIR/ceph.conf"
  # The monitor takes its address from this map only.
  monmaptool --create --fsid "$FSID" --addv a "[v2:127.0.0.1:$OWN_2,v1:127.0.0.1:$OWN_1]" "$DIR/monmap" >/dev/null
  ceph-mon -c "$CEPH_CONF" --mkfs -i a --monmap "$DIR/monmap" >/dev/null
  daemon monitor ceph-mon -i a
  local osd; osd=$(cat /proc/sys/kernel/random/uuid)
  until_works 100 ceph -c "$CEPH_CONF" --connect-timeout 10 osd new "$osd" 0 || fail "the monitor does not answer; see $DIR/monitor.out"
  ceph-osd -c "$CEPH_CONF" -i 0 --mkfs --osd-uuid "$osd" >"$DIR/mkfs.out" 2>&1
  daemon store ceph-osd -i 0
  until_works 150 bash -c "ceph -c '$CEPH_CONF' osd stat | grep -q '1 up'" || fail "the store does not come up; see $DIR/store.out"
  gateway
  radosgw-admin -c "$CEPH_CONF" user create --uid=test --display-name=test --access-key="$ACCESS_KEY" --secret-key="$SECRET_KEY" \
    >"$DIR/user.out" 2>&1 || fail "no user could be made; see $DIR/user.out"
  touch "$DIR/ready"
  if [ -n "$OWNER" ]; then
    setsid bash -c 'tail --pid="$1" -f /dev/null; exec "$2" down "$3"' watch "$OWNER" "$SELF" "$DIR" >/dev/null 2>&1 </dev/null &
    echo $! >"$DIR/watch.pid"
  fi
}

down() {
  [ -d "$DIR" ] || return 0
  # Not itself, where it was the watch that came here.
  if runs watch && [ "$(cat "$DIR/watch.pid")" != $$ ]; then end watch TERM; fi
  # Nothing is to be kept, so nobody has to tidy up.
  for name in gateway store monitor; do end "$name" KILL; done
  rm -rf "$DIR"
}

SELF=$(readlink -f "$0")
DIR=${2:-}; PORT=${3:-}; OWN_2=${4:-}; OWN_1=${5:-}; OWNER=${6:-}
case ${1:-} in
  have) command -v "${PROGRAMS[@]}" >/dev/null || exit 1 ;;
  up) [ -n "$OWN_1" ] || fail "up DIR PORT OWN OWN [OWNER]"; up ;;
  down) [ -n "$DIR" ] || fail "down DIR"; down ;;
  kill-gateway) end gateway KILL ;;
  gateway) gateway ;;
  *) fail "have, up, down, kill-gateway or gateway" ;;
esac
