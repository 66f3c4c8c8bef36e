FROM a
ARG A=1
USER u:g
WORKDIR /w
RUN ["ls", "$A"]
