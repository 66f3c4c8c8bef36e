FROM a
COPY --chmod=executable x y
