#!/bin/sh
# Runs the generator that this copy of the script is named after, by the C library that was locked with it.
here=${0%/*}
root=$here/amd64
export BISON_PKGDATADIR="$root/usr/share/bison" M4="$here/m4"
exec "$root/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" \
	--inhibit-cache \
	--library-path "$root/lib/x86_64-linux-gnu" \
	"$root/usr/bin/${0##*/}" "$@"
