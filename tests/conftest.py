"""For all tests: no deadline that a busy machine could break, and nothing written into the repository."""

from hypothesis import HealthCheck, settings

settings.register_profile("hisauto", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hisauto")
