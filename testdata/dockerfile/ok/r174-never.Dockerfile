# args: translate=never
FROM scratch
RUN mkdir a
