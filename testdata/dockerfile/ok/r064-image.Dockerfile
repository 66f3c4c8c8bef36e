FROM b
COPY --from=r.example/t:1 /x /
