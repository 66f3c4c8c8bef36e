FROM a
COPY --unpack a b
