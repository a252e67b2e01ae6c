"""``python -m hisauto``."""

from hisauto.cli import main

main()
