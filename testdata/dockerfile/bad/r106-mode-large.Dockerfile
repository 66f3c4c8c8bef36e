FROM a
COPY --chmod=10000 x y
