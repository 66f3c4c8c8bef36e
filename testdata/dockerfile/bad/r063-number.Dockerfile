FROM a
COPY --from=4 /a /b
