# args: translate=always
FROM scratch
USER app
RUN mkdir a
