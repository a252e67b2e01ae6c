"""The machines lab: hosts with a systemd, a network and a disk of their own, made by systemd-nspawn. For root."""
