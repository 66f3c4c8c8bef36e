FROM a
COPY --chmod=1 --chmod=2 a b
