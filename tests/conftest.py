"""For all tests: no deadline that a busy machine could break, nothing written into the repository, and English."""

import os
import signal

from hypothesis import HealthCheck, settings

settings.register_profile("hisauto", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hisauto")

os.environ["LC_ALL"] = "C.UTF-8"
# Begun in the background of a shell, the tests ignore Ctrl-C, and what they start would, too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
