FROM a AS x
FROM b
ADD --from=x /a /b
