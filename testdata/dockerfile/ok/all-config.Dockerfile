FROM full
LABEL a=1 "b c"="d e"
ENV X=1 Y="two words" Z=$X
EXPOSE 80 8000-8002/udp
VOLUME /data ["x"]
VOLUME ["/json form"]
STOPSIGNAL SIGTERM
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
HEALTHCHECK --interval=5m --timeout=3s CMD curl -f http://localhost/ || exit 1
MAINTAINER Someone <x@example.com>
USER 1000:1000
ENTRYPOINT exec top -b
CMD ["-x"]
