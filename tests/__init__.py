"""The tests are one package, so that ``tests/lab`` does not hide the package ``lab``."""
