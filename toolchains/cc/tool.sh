#!/bin/sh
# Runs the LLVM program that this copy of the script is named after, by the C library that was locked with it:
# nothing is loaded from the machine, so the same bytes come out of any userland. argv[0] stays this script,
# by which clang starts itself again.
amd64=${0%/*}/amd64
exec "$amd64/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" \
	--inhibit-cache \
	--library-path "$amd64/lib/x86_64-linux-gnu:$amd64/usr/lib/x86_64-linux-gnu" \
	--argv0 "$0" \
	"$amd64/usr/lib/llvm-19/bin/${0##*/}" "$@"
