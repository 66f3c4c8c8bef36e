FROM a AS one
ARG TARGETSTAGE
ENV s=$TARGETSTAGE
FROM a AS two
# args: target=one
