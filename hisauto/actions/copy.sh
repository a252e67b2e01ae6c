# A file on the host: look whether it is as wanted, and put it there whole. POSIX sh with coreutils or busybox.
# Set before: dest, and mode owner group (empty: as it is), sum and size of the content, backup (empty: none).

LC_ALL=C; export LC_ALL
case $dest in */*) dir=${dest%/*} ;; esac
dir=${dir:-/}

say() { printf '%s\n' "$*"; } # one line
stop() { code=$1; shift; say "$@" >&2; exit "$code"; }

for tool in base64 sha256sum stat; do
  command -v $tool >/dev/null || stop 127 "$tool is missing on this host"
done

digest() { # FILE: its SHA-256
  line=$(sha256sum <"$1") && say "${line%% *}"
}

look() { # -> is (file, absent), its mode, user, group, uid, gid, content (same, other); differs: why it is not as wanted
  content=other differs= uid= gid= is_mode=
  if ! facts=$(stat -c '%a %U %G %u %g %s %F' "$dest" 2>&1); then
    case $facts in
      *'No such file'*) is=absent differs='it is not there'; return ;;
      *) stop 3 "$facts" ;;
    esac
  fi
  set -- $facts
  is=file is_mode=$1 is_user=$2 is_group=$3 uid=$4 gid=$5 length=$6
  shift 6
  case "$*" in
    regular*) ;;
    *) stop 4 "$dest is a $*: only a regular file is replaced" ;;
  esac
  if [ "$length" = "$size" ]; then
    now=$(digest "$dest") || stop 3 "$dest can't be read"
    if [ "$now" = "$sum" ]; then content=same; fi
  fi
  if [ $content = other ]; then differs='its content is another'; fi
  if [ "${mode:-$is_mode}" != "$is_mode" ]; then differs="$differs${differs:+, }its mode is $is_mode"; fi
  case ${owner:-$uid} in "$is_user" | "$uid") ;; *) differs="$differs${differs:+, }its owner is $is_user" ;; esac
  case ${group:-$gid} in "$is_group" | "$gid") ;; *) differs="$differs${differs:+, }its group is $is_group" ;; esac
}

show() { # LIMIT: what the look saw, and the old content where it is another and short
  look
  if [ -z "$differs" ]; then say "changed 0"; return; fi
  say "changed 1"
  say "differs $differs"
  [ $content = other ] || return 0
  if [ $is = absent ]; then say "old"; return; fi
  if [ "$length" -le "$1" ] && [ -r "$dest" ]; then say "old $(base64 <"$dest" | tr -d '\n')"; fi
}

keep() { # -> kept, a copy of the file that is about to be replaced, named by its content
  was=$(digest "$dest") || stop 1 "$dest can't be read"
  kept=$dest.$(printf '%.12s' "$was").bak
  if [ -f "$kept" ] && [ "$(digest "$kept")" = "$was" ]; then return; fi
  cp -p "$dest" "$tmp.bak" && sync "$tmp.bak" 2>/dev/null && mv -f "$tmp.bak" "$kept" || stop 1 "no backup could be made"
}

write() { # CHECK...: base64 from standard input becomes the file, if the command agrees to it
  look
  if [ -z "$differs" ]; then say "changed 0"; return; fi
  tmp=$dir/.${dest##*/}.hisauto kept=
  trap 'rm -f "$tmp" "$tmp.bak"' EXIT
  trap 'exit 143' HUP INT TERM
  rm -f "$tmp"
  umask 077
  # An exclusive create: nobody's link is followed.
  (set -C && base64 -d >"$tmp") || stop 1 "$dir can't be written to"
  [ "$(digest "$tmp")" = "$sum" ] || stop 1 "$tmp is not what was sent: is the disk full?"
  user=${owner:-${uid:-}} crowd=${group:-${gid:-}}
  if [ "$user" != "$(stat -c %u "$tmp")" ] && [ -n "$user" ]; then chown "$user" "$tmp" || stop 1 "no owner $user"; fi
  if [ "$crowd" != "$(stat -c %g "$tmp")" ] && [ -n "$crowd" ]; then chgrp "$crowd" "$tmp" || stop 1 "no group $crowd"; fi
  chmod "${mode:-${is_mode:-600}}" "$tmp" || stop 1 "no mode"
  if [ $# -gt 0 ]; then agreed "$@"; fi
  if [ -n "$backup" ] && [ $is = file ] && [ $content = other ]; then keep; fi
  sync "$tmp" 2>/dev/null || sync # a rename may reach the disk before what it names
  mv -f "$tmp" "$dest" || stop 1 "$dest can't be replaced"
  sync "$dir" 2>/dev/null || sync
  say "changed 1"
  if [ -n "$kept" ]; then say "backup $kept"; fi
}

agreed() { # WORD...: the check, with the new file's name for each %s
  for word; do
    shift
    case $word in *%s*) word=${word%%%s*}$tmp${word#*%s} ;; esac
    set -- "$@" "$word"
  done
  "$@" </dev/null >&2 || stop 1 "refused by $1 (exit $?)"
}
