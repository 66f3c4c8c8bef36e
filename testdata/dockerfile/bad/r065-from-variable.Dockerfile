ARG X=a
FROM b
COPY --from=${X} /a /b
