"""The same small commands on many hosts: hisauto beside what others use, against real sshds on loopback."""
