FROM a
RUN --mount=tpye=cache,target=/x y
