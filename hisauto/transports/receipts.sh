# The host's side of receipts. A POSIX sh reads this from its standard input, and then frames, one line each:
#
#     hi_NAME NONCE 'argument' ... .
#
# A frame that was cut short lacks an argument or the final dot, and does nothing. Every answer begins with the frame's
# nonce. Set before: HI_WORKER (the text of worker.sh), HI_BASE (empty: choose), HI_BOOT_FILE.
#
#   BASE/RUN/{id,epoch,lock}                                  one folder a run and host name
#   BASE/RUN/a.ATTEMPT/{script,pid,out,err,rc,late,killed}    one receipt an attempt

HI_UMASK=$(umask)
umask 077
eval "$HI_WORKER"

if [ -z "$HI_BASE" ]; then
  HI_BASE=$(id -u)
  # Never $XDG_RUNTIME_DIR: logind removes it when the last session ends, which is when the connection is lost.
  if [ -d "/run/hisauto/$HI_BASE" ]; then HI_BASE=/run/hisauto/$HI_BASE; else HI_BASE=/var/tmp/hisauto-$HI_BASE; fi
fi
HI_TIMEOUT=$(command -v timeout)
HI_SETSID=$(command -v setsid)
HI_PROC=; if [ -r /proc/self/environ ] && born $$; then HI_PROC=1; fi
HI_BOOT=-; { read -r HI_BOOT <"$HI_BOOT_FILE"; } 2>/dev/null
born 1; HI_BOOT=$HI_BOOT.${BORN:--} # a container's restart keeps the boot id
born $$; HI_BORN=${BORN:--}

whole() { # COUNT ARGUMENT...: is the frame complete?
  count=$1; shift
  [ $# = "$count" ] && eval "[ \"\${$#}\" = . ]"
}

foreign() { # NONCE: is the base somebody else's? answered already
  if [ -L "$HI_BASE" ]; then echo "$1 unusable $HI_BASE is a symbolic link"
  elif [ -e "$HI_BASE" ] && [ ! -O "$HI_BASE" ]; then echo "$1 unusable $HI_BASE belongs to somebody else"
  else return 1; fi
}

hi_open() { # NONCE RUN NEW-ID .   place BOOT.ID | without WHAT (missing here) | unusable WHY (the folder)
  whole 4 "$@" || return
  for tool in setsid flock grep head tail wc ln mv rm mkdir sleep; do
    command -v $tool >/dev/null || { echo "$1 without $tool"; return; }
  done
  [ -n "$HI_PROC" ] || { echo "$1 without /proc"; return; }
  finder || { echo "$1 without a-grep-for-binary-files"; return; }
  D=$HI_BASE/$2
  foreign "$1" && return
  why=$(mkdir -p "$D" 2>&1)
  foreign "$1" && return # someone may have been quicker
  [ -d "$D" ] && why=$({
    [ -s "$D/epoch" ] || printf '%20s\n' 0 >>"$D/epoch"
    : >>"$D/lock"
    if [ ! -s "$D/id" ]; then
      rm -f "$D/id"
      echo "$3" >"$D/id.$3" && ln "$D/id.$3" "$D/id" # atomic: two who open at once agree
      rm -f "$D/id.$3"
    fi
  } 2>&1)
  if { read -r id <"$D/id" && [ -s "$D/epoch" ]; } 2>/dev/null; then echo "$1 place $HI_BOOT.$id"
  else echo "$1 unusable" $why; fi
}

lock() { # NONCE RUN EPOCH -> D, ID, the lock on descriptor 9; false: answered already
  D=$HI_BASE/$2
  { [ -e "$D/lock" ] && command exec 9>>"$D/lock"; } 2>/dev/null || { echo "$1 moved the receipts are gone"; return 1; }
  flock 9 || { exec 9>&-; echo "$1 moved the lock does not hold"; return 1; }
  ID=; { read -r ID <"$D/id"; } 2>/dev/null
  seen=; { read -r seen <"$D/epoch"; } 2>/dev/null
  if [ "${seen:-0}" -gt "$3" ]; then exec 9>&-; echo "$1 refused epoch $seen has been here"; return 1; fi
  # In place and of a fixed width, so that a full disk can't keep a take-over from being noticed.
  if [ "${seen:-0}" != "$3" ] && ! printf '%20s\n' "$3" 2>/dev/null 1<>"$D/epoch"; then
    exec 9>&-; echo "$1 nospace"; return 1
  fi
}

finished() { HOW=; { read -r RC HOW <"$1/rc"; } 2>/dev/null; [ -n "$HOW" ]; }

result() { # NONCE FOLDER CAP   the end, at most CAP bytes of each stream, and a closing line
  if ! finished "$2"; then
    : >"$2/script"
    echo "$1 died"; return
  fi
  read -r pid start boot <"$2/pid"
  same=0; if [ "$boot" = "$HI_BOOT" ]; then same=1; fi
  nonce=$1 folder=$2 cap=$3 o=0 e=0
  if [ -s "$2/out" ] || [ -s "$2/err" ]; then set -- $(cd "$2" && wc -c out err); o=${1:-0} e=${3:-0}; fi
  cut=0
  if [ "$o" -gt "$cap" ]; then o=$cap cut=1; fi
  if [ "$e" -gt "$cap" ]; then e=$cap cut=1; fi
  echo "$nonce finished $RC $HOW $same $cut $o $e"
  if [ "$o" -gt 0 ]; then head -c "$o" "$folder/out"; fi
  if [ "$e" -gt 0 ]; then head -c "$e" "$folder/err"; fi
  echo "$nonce whole"
}

hi_act() { # NONCE RUN ATTEMPT EPOCH PLACE LIMIT GRACE CAP SCRIPT .   started, then the result
  whole 10 "$@" || return
  lock "$1" "$2" "$4" || return
  d=$D/a.$3
  if [ "$HI_BOOT.$ID" != "$5" ]; then exec 9>&-; echo "$1 moved now $HI_BOOT.$ID"; return; fi
  if [ -s "$d/pid" ]; then exec 9>&-; echo "$1 exists"; return; fi
  if [ -d "$d" ]; then mv "$d" "$D/void.$1"; fi # claimed, never started: we hold the lock
  if ! { mkdir "$d" && printf '%s\n' "$9" >"$d/script"; } 2>/dev/null; then
    rm -rf "$d"; exec 9>&-; echo "$1 nospace"; return
  fi
  # From the claim to here nothing is written to the connection, which may be gone (SIGPIPE).
  HISAUTO_WORKER=$HI_WORKER setsid sh -c 'eval "$HISAUTO_WORKER"; work "$@"' hisauto \
    "$d" "$6" "$7" "$ID/$3" "$HI_UMASK" "$HI_BOOT" </dev/null >/dev/null 2>&1 &
  worker=$!
  exec 9>&-
  echo "$1 started"
  wait $worker 2>/dev/null
  if [ -s "$d/pid" ]; then result "$1" "$d" "$8"; else echo "$1 nospace"; fi
}

hi_settle() { # NONCE RUN ATTEMPT EPOCH PLACE NAPS KILL GRACE CAP .   result | running | none | moved | died | refused
  whole 10 "$@" || return
  lock "$1" "$2" "$4" || return
  d=$D/a.$3 mark=$ID/$3
  if finished "$d"; then exec 9>&-; result "$1" "$d" "$9"; return; fi
  if [ "$HI_BOOT.$ID" != "$5" ]; then exec 9>&-; echo "$1 moved now $HI_BOOT.$ID"; return; fi
  if [ ! -s "$d/pid" ]; then
    if [ -d "$d" ]; then mv "$d" "$D/void.$1"; fi
    exec 9>&-; echo "$1 none"; return
  fi
  read -r pid start boot <"$d/pid"
  exec 9>&-
  naps=$6
  if [ "$7" = 1 ]; then
    # Marked before the first signal: the worker looks for it once its script has ended.
    if carriers "$mark" && [ ! -e "$d/killed" ]; then ln "$d/pid" "$d/killed" 2>/dev/null; fi
    end_carriers "$mark" "$8" || { echo "$1 running it could not be ended"; return; }
    naps=200
  fi
  n=0
  while alive "$pid" "$start"; do
    [ $n -lt "$naps" ] || { echo "$1 running"; return; }
    nap; n=$((n + 1))
  done
  if ! finished "$d" && carriers "$mark"; then echo "$1 died what it started is still at work"; return; fi
  result "$1" "$d" "$9"
}

hi_tail() { # NONCE RUN ATTEMPT OUT-OFFSET ERR-OFFSET MOST .   what was written since
  whole 7 "$@" || return
  d=$HI_BASE/$2/a.$3
  set -- "$1" "$4" "$5" "$6" $(cd "$d" 2>/dev/null && wc -c out err)
  o=$((${5:-0} - $2)) e=$((${7:-0} - $3))
  if [ $o -lt 0 ]; then o=0; elif [ $o -gt "$4" ]; then o=$4; fi
  if [ $e -lt 0 ]; then e=0; elif [ $e -gt "$4" ]; then e=$4; fi
  echo "$1 part $o $e"
  if [ $o -gt 0 ]; then tail -c "+$(($2 + 1))" "$d/out" | head -c $o; fi
  if [ $e -gt 0 ]; then tail -c "+$(($3 + 1))" "$d/err" | head -c $e; fi
  echo "$1 whole"
}

hi_probe() { # NONCE MARK BACKSTOP inline|file SCRIPT .   begun, its raw output, somewhere in it pid PID, end RC
  whole 6 "$@" || return
  file=${TMPDIR:-/tmp}/.hisauto.$2
  if [ "$4" = file ] && ! (set -C; printf '%s\n' "$5" >"$file") 2>/dev/null; then
    rm -f "$file"; echo "$1 nospace"; return
  fi
  echo "$1 begun"
  (
    umask "$HI_UMASK"
    export HISAUTO_ATTEMPT="$2;" # the mark is not the nonce: what runs here can't close the stream
    if [ "$4" = file ]; then set -- "$3" sh "$file"
    else
      export HISAUTO_SCRIPT="$5" # never an argument: those are public
      set -- "$3" sh -c 'eval "unset HISAUTO_SCRIPT
$HISAUTO_SCRIPT"'
    fi
    exec </dev/null
    # The client ends it in time; this is for when the client is gone.
    if [ -n "$HI_TIMEOUT" ]; then set -- timeout -s KILL "$@"; else shift; fi
    if [ -n "$HI_SETSID" ]; then set -- setsid "$@"; fi
    exec "$@"
  ) &
  pid=$!
  echo "$1 pid $pid" # a quick command has written, or even ended, before this
  wait $pid 2>/dev/null
  rc=$?
  kill -KILL -$pid 2>/dev/null
  if [ "$4" = file ]; then rm -f "$file"; fi
  echo "$1 end $rc"
  echo "$1" >&2 # the nonce closes both streams
}

hi_end() { # NONCE MARK PID GRACE .   ended | running
  whole 5 "$@" || return
  if [ -n "$HI_PROC" ] && finder; then
    if end_carriers "$2" "$4"; then echo "$1 ended"; else echo "$1 running"; fi
    return
  fi
  kill -TERM "-$3" 2>/dev/null; sleep "$4"; kill -KILL "-$3" 2>/dev/null
  if [ -n "$HI_TIMEOUT$HI_SETSID" ] && ! kill -0 "-$3" 2>/dev/null; then echo "$1 ended"; else echo "$1 running"; fi
}

hi_bury() { # NONCE PID BORN .   end a shell that was lost, so that no frame still on its way to it can run
  whole 4 "$@" || return
  while alive "$2" "$3"; do kill -KILL "$2" 2>/dev/null; nap; done
  echo "$1 buried"
}

hi_forget() { # NONCE RUN EPOCH NEW-ID .   at the run's end; while anything is at work nothing is forgotten
  whole 5 "$@" || return
  lock "$1" "$2" "$3" || return
  for d in "$D"/a.*; do
    finished "$d" && continue # first: looking for carriers reads every process's environment
    { read -r pid start boot <"$d/pid"; } 2>/dev/null || continue
    if alive "$pid" "$start" || carriers "$ID/${d##*/a.}"; then exec 9>&-; echo "$1 kept"; return; fi
  done
  # A new id: whoever asks for one of these attempts later hears `moved`, not `none`.
  if { echo "$4" >"$D/id.new" && mv "$D/id.new" "$D/id"; } 2>/dev/null; then rm -rf "$D"/a.* "$D"/void.*; fi
  exec 9>&-
  echo "$1 forgotten"
}
