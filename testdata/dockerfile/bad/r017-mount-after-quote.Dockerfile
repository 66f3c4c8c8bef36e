FROM a
RUN --mount='type=cache,"target=/x"y' z
