FROM a
HEALTHCHECK CMD --interval=1s x
