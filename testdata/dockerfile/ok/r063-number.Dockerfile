FROM a
FROM b
FROM c
COPY --from=1 /x /
