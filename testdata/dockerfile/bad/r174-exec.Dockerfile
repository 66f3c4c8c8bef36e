# args: translate=always
FROM scratch
RUN ["mkdir", "-Z", "a"]
