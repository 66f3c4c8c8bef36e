FROM a
WORKDIR /w
RUN --mount=target=f,source=d/f --mount=target=/c,rw x
