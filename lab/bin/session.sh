#!/bin/bash
# ForceCommand of every host: sshd goes to the home of the account; a host of the lab has its own.
cd "$HOME" || exit 1
if [ -n "$SSH_ORIGINAL_COMMAND" ]; then
  exec /bin/bash -c "$SSH_ORIGINAL_COMMAND"
fi
exec /bin/bash --norc
