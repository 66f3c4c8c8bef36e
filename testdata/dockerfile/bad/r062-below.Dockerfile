FROM a AS early
COPY --from=late /a /b
FROM b AS late
FROM c
COPY --from=early /a /b
