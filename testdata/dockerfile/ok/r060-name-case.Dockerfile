FROM a AS Build
FROM b
COPY --from=BUILD /x /
