FROM --platform=linux/amd64 a AS x
FROM --platform=linux/arm64 x AS y
FROM b
COPY --from=y /x /
