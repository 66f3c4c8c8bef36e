# args: translate=always
FROM scratch
RUN mkdir -p /a \
 # comment
 && ls | cat
