FROM b
RUN --mount=from=$X,target=/x y
