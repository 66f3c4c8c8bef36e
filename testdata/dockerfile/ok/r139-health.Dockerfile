FROM a
HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=1h --retries=3 CMD ["c"]
