FROM a
COPY --link --chown=app x y
