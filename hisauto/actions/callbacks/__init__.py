"""Plugins that Ansible loads by their file."""
