FROM a
ARG U=app G=grp
COPY --chown=$U:$G --from=b / /x
