FROM a
RUN --mount=type=cache x
