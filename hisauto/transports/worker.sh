# What the host's shell and each worker share: processes, marks, and the worker itself. POSIX sh (dash, busybox ash,
# bash) and Linux's /proc. The mark of an attempt is HISAUTO_ATTEMPT=...; in the environment of all that it started.

FINDER=

nap() { sleep .05 2>/dev/null || sleep 1; }

born() { # PID -> BORN, its start in ticks since boot, and GROUP; false: there is none, or it is a zombie
  BORN=; GROUP=
  { read -r BORN <"/proc/$1/stat"; } 2>/dev/null || return 1
  set -- ${BORN##*) } # the command's name, before that, may hold anything
  BORN=${20} GROUP=$3
  [ "$1" != Z ] && [ "$1" != X ]
}

alive() { born "$1" && [ "$BORN" = "$2" ]; } # PID BORN: a recycled pid is not alive

finder() { # -> FINDER, what can search environments here: busybox's grep stops at the first NUL; false: nothing can
  FINDER=grep
  printf 'x\000y' | grep -qaF y 2>/dev/null && return
  FINDER=strings
  command -v strings >/dev/null
}

marked() { # MARK: paths below /proc, among other words
  if [ "$FINDER" = grep ]; then LC_ALL=C grep -lsaF "HISAUTO_ATTEMPT=$1;" /proc/[0-9]*/environ
  else strings -f /proc/[0-9]*/environ 2>/dev/null | grep -F " HISAUTO_ATTEMPT=$1;"; fi
}

carriers() { # MARK -> PIDS, the live processes that carry it; false: none
  PIDS=
  [ -n "$FINDER" ] || finder
  for p in $(marked "$1"); do
    case $p in /proc/*/environ*) ;; *) continue ;; esac
    p=${p#/proc/} p=${p%%/*}
    if born "$p"; then PIDS="$PIDS $p"; fi
  done
  [ -n "$PIDS" ]
}

signal() { # NAME PID...: once to each one's process group; within our own group to each alone
  s=$1; shift
  born $$; own=$GROUP told=" "
  for p; do
    born "$p" || continue
    case "$own $told" in
      "$GROUP "*) kill "-$s" "$p" ;;
      *" $GROUP "*) ;; # a second TERM would run its trap again
      *) kill "-$s" "-$GROUP"; told="$told$GROUP " ;;
    esac
  done 2>/dev/null
}

uptime() { # -> NOW, in hundredths of a second since boot
  read -r NOW _ </proc/uptime
  NOW=$((${NOW%.*} * 100 + 1${NOW#*.} - 100)) # never 08, which would be octal
}

end_carriers() { # MARK GRACE: TERM, GRACE seconds, then KILL until nothing is left; false: something is
  carriers "$1" || return 0
  uptime; kill_at=$((NOW + $2 * 100))
  signal TERM $PIDS
  while carriers "$1" && [ $NOW -lt $kill_at ]; do nap; uptime; done # a look at every process takes its time, too
  i=0
  while carriers "$1"; do
    [ $i -lt 100 ] || return 1
    signal KILL $PIDS
    nap; i=$((i + 1))
  done
}

# The worker is a session of its own and comes with the run's lock on descriptor 9, inherited from the shell that
# claimed the attempt. It lets go only when its pid is on record and room for the result is taken: whoever gets the lock
# and sees a claim without a pid knows that nothing was started and nothing will be.
work() { # FOLDER LIMIT GRACE MARK UMASK BOOT
  unset HISAUTO_WORKER
  umask 077
  born $$
  { echo "$$ $BORN $6" >"$1/pid" && : >"$1/out" && : >"$1/err" && echo '                    ' >"$1/rc.new"; } 2>/dev/null
  if ! { read -r pid start boot <"$1/pid" && [ "$pid $start $boot" = "$$ $BORN $6" ] && [ -s "$1/rc.new" ] &&
    [ -e "$1/err" ]; } 2>/dev/null; then
    rm -f "$1/pid"
    exit 1
  fi
  exec 9>&-
  (
    exec </dev/null >"$1/out" 2>"$1/err"
    umask "$5"
    export HISAUTO_ATTEMPT="$4;"
    exec setsid sh "$1/script"
  ) &
  script=$!
  (
    trap '[ $! = $script ] || kill -KILL $!; exit' TERM # dash's child loses a TERM that comes before its exec
    sleep "$2" &
    wait $!
    trap '' TERM
    # A hard link needs no room: a full disk can't hide why it ended.
    ln "$1/pid" "$1/late" && end_carriers "$4" "$3"
  ) 2>/dev/null &
  watch=$!
  wait $script
  rc=$? how=exit
  kill $watch 2>/dev/null
  wait $watch 2>/dev/null # when the limit has passed, until its carriers are gone
  if [ -e "$1/late" ]; then how=timeout; fi
  if [ -e "$1/killed" ]; then how=killed; fi
  echo "$rc $how" 1<>"$1/rc.new" && mv "$1/rc.new" "$1/rc"
  : >"$1/script" # it may hold secrets
}
