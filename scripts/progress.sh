# Sourced by the scripts that run something long: one line that says what is done and how far it is.
# On a terminal it is rewritten every second; in a log it is written anew every 15 seconds.
# Written for bash 3.2, which macOS has.

patience=2 # seconds without a word
sparse=15
shown_at=-$sparse
moving=false
terminal=false
if [ -t 1 ] && [ "${TERM-dumb}" != dumb ]; then terminal=true; fi

# took writes a number of seconds as "40 s" or "5 min 40 s".
took() {
	if [ "$1" -lt 60 ]; then echo "$1 s"; else echo "$(($1 / 60)) min $(($1 % 60)) s"; fi
}

# thousands writes 2238 as "2,238".
thousands() {
	if [ "$1" -lt 1000 ]; then echo "$1"; else printf '%s,%03d' "$(thousands $(($1 / 1000)))" $(($1 % 1000)); fi
}

# show LABEL TEXT, once $patience seconds have passed
show() {
	if [ "$SECONDS" -lt "$patience" ]; then return; fi
	if $terminal; then
		printf '\r\033[K%-12s %s' "$1" "$2 · $(took "$SECONDS")"
		moving=true
	elif [ $((SECONDS - shown_at)) -ge "$sparse" ]; then
		shown_at=$SECONDS
		printf '%-12s %s\n' "$1" "$2 · $(took "$SECONDS")"
	fi
}

# wipe takes the line away before anything else is written.
wipe() {
	if $moving; then printf '\r\033[K'; fi
	moving=false
}

# ended is the file that holds the exit status of what follow runs.
ended=
trap 'rm -f "$ended"' EXIT

# follow FUNCTION COMMAND... runs the command, calls the function with each line that it writes, and
# with none once a second, and returns the command's exit status.
follow() {
	local handle=$1 line part= status at=-1 misses=0
	shift
	ended=$(mktemp "${TMPDIR:-/tmp}/ended.XXXXXX")
	while :; do
		if IFS= read -r -t 1 line <&3; then
			$handle "$part$line"
			part=
			continue
		fi
		# A timeout, maybe in the middle of a line, or the end. bash 3.2 cannot tell the two apart.
		# The file can: it is written after the last line.
		part=$part$line
		if [ -s "$ended" ]; then
			while IFS= read -r line <&3; do
				$handle "$part$line"
				part=
			done
			break
		fi
		# Killed, the command writes no file, and each read fails at once.
		if [ "$SECONDS" != "$at" ]; then misses=0; fi
		at=$SECONDS
		misses=$((misses + 1))
		if [ "$misses" -gt 100 ]; then break; fi
		$handle
	done 3< <(
		set +e
		"$@" 2>&1
		echo "$?" >"$ended"
	)
	status=$(cat "$ended")
	rm -f "$ended"
	wipe
	return "${status:-1}"
}

# said is what a go command complained of.
said=

# hint tells what to do about what was said.
hint() {
	local next=
	case $said in
	*'build cache'* | *'module cache'* | *GOMODCACHE* | *GOCACHE* | *'read-only file system'*)
		next='let Go write: export GOCACHE=/a/folder/of/yours GOPATH=/another' ;;
	*fork/exec*'permission denied'*)
		next='programs may not run from there: export TMPDIR=/a/folder/of/yours' ;;
	*'no space left on device'*) next='make room, then run it again: what is compiled is kept' ;;
	*'dial tcp'* | *'no such host'* | *'i/o timeout'* | *'lookup disabled by GOPROXY'*)
		next='a module has to be downloaded: is there a network? With one: make offline' ;;
	esac
	if [ -n "$next" ]; then printf '  next: %s\n' "$next" >&2; fi
}

# need_go ends the script if the go command cannot compile the module in the working folder. An old
# one says something strange of a newer go.mod, or nothing.
need_go() {
	local want have
	want=$(awk '$1 == "go" {print $2; exit}' go.mod)
	if ! command -v go >/dev/null; then
		printf 'There is no go command on the PATH.\n  next: install Go %s or newer: https://go.dev/dl\n' "$want" >&2
		exit 1
	fi
	if ! have=$(go env GOVERSION 2>&1); then
		printf '%s\n  next: install Go %s or newer: https://go.dev/dl\n' "$have" "$want" >&2
		exit 1
	fi
	if ! awk -v have="${have#go}" -v want="$want" 'BEGIN {
		split(have, h, /[^0-9]+/); split(want, w, ".")
		exit have ~ /^[0-9]/ && (h[1] < w[1] || h[1] == w[1] && h[2] < w[2])
	}'; then
		printf '%s is %s.\n  next: install Go %s or newer: https://go.dev/dl\n' "$(command -v go)" "$have" "$want" >&2
		exit 1
	fi
}

# need_exec ends the script if no program can be started from the folder for temporary files, where
# the go command puts tests.
need_exec() {
	local dir=${GOTMPDIR:-${TMPDIR:-/tmp}} file
	if file=$(mktemp "$dir/exec.XXXXXX" 2>/dev/null); then
		printf '#!/bin/sh\n' >"$file"
		chmod 0700 "$file"
		if "$file" 2>/dev/null; then
			rm -f "$file"
			return
		fi
		rm -f "$file"
	fi
	printf 'No program can be started from %s, the folder for temporary files.\n' "$dir" >&2
	printf '  next: export TMPDIR=/a/folder/of/yours\n' >&2
	exit 1
}

# Of no go.work in a folder above, and of no vendor folder, nor do we have one.
export GOWORK=off
if [ -n "${GOFLAGS-}" ]; then
	GOFLAGS=$(printf '%s\n' $GOFLAGS | awk '!/^--?mod=/ {printf "%s ", $0}')
	export GOFLAGS
fi
