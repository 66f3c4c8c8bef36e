FROM a
SHELL ["/bin/bash", "-c"]
RUN <<E
x
E
