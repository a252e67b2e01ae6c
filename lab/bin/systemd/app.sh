# The registration service as its package and systemd run it. Sourced by app.
[ "$(id -u)" = 0 ] || exec sudo -n "$0" "$@"
unit=his-registration.service ledger=/var/lib/his-registration/registrations.jsonl

running() { systemctl is-active -q "$unit"; }
as_service() { (cd /; exec runuser -u his -- env PYTHONPATH=/usr/lib/his-registration PGPASSFILE=/etc/his/pgpass python3 -s -m "$@"); }
start_it() { systemctl start "$unit"; }
end_it() { systemctl kill -s "$1" "$unit"; }
