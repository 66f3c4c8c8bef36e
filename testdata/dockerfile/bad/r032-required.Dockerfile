FROM a
ARG A
ENV B=${A:?set-A}
