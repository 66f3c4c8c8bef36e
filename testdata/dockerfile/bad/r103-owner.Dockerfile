FROM a
COPY --chown=a:b:c x y
