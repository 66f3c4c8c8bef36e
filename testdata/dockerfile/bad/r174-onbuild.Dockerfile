# args: translate=always
FROM scratch AS base
ONBUILD RUN sleep 1
FROM base
