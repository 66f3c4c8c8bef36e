FROM a
COPY --chmod=u=rwX,go=rX a b
