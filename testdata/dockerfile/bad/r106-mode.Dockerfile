FROM a
COPY --chmod=888 x y
