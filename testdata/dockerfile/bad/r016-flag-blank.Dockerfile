FROM a
COPY --from builder /a /b
