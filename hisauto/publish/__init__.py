"""Signed checkpoints brought to places that neither the node nor its database can change afterwards.

place → file, host, syslog; publisher
"""
