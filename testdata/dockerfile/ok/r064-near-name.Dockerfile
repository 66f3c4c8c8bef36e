FROM a AS builder
FROM b
COPY --from=bulder /x /
