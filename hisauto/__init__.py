"""hisauto: emergency runbooks for hospital information systems."""

__version__ = "0.1.0"
