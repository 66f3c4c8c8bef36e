FROM a AS builder
FROM b
COPY --from=Bu?lder /a /b
