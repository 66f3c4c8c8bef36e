ARG GLOBAL=global
FROM localhost/busybox AS one
ARG GLOBAL
ARG OWN=own UNSET
ENV E="a b" PATH=/opt/bin:$PATH
RUN mkdir /v && echo "$GLOBAL|$OWN|${UNSET-unset}|$E|$PATH" > /v/one
ENV OWN=env
RUN echo "$OWN" > /v/two && export LOST=1 && A=1 B=$E sh -c 'echo "$A$B"' > /v/three
FROM localhost/busybox
ARG GLOBAL=other
COPY --from=one /v /v
RUN echo "$GLOBAL|${OWN-none}|${E-none}|${LOST-none}" > /v/four; env | cut -d= -f1 | grep -xE 'GLOBAL|OWN|E|UNSET' > /v/names
