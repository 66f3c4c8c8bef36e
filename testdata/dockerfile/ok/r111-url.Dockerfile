FROM a
ARG V=1
ADD https://h.example/v$V/f?x=y /bin/
