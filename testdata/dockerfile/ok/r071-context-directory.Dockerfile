FROM a
COPY --from=src b /
RUN --mount=from=src,target=/s x
# args: dir:src=../other
